"""One full event of each class: what its golden sample says, word for word."""

from datetime import UTC, datetime
from typing import Final

from shared.events import delivery, email, schedule, signal, submission
from shared.events.base import AccountId, EmailId, Event, EventId, WorkspaceId
from shared.events.record import Record
from shared.mail.address import Mailbox

WORKSPACE: Final = WorkspaceId("acme")
EMAIL_ID: Final = EmailId("019abc12-7d00-7000-8000-00000000abcd")
ACCOUNT: Final = AccountId("0e6a3a52-0000-4000-8000-000000000001")
CLAIM: Final = "5d0c7b0a-93a5-4b5e-9a43-1c3a1d7c9f10"


def _at(second: int, microsecond: int = 0) -> datetime:
    return datetime(2026, 11, 24, 12, 0, second, microsecond, tzinfo=UTC)


EMAIL: Final = email.Email(
    message_id="<019abc12-7d00-7000-8000-00000000abcd@sendlog.test>",
    date=_at(0),
    boundary="b0b1b2b3b4b5b6b7b8b9babb",
    from_=Mailbox("hello@sendlog.test", "Sendlog"),
    to=(Mailbox("ann@world.test", "Ann Żółć"), Mailbox("bob@world.test")),
    cc=(Mailbox("cho@bücher.example"),),
    bcc=(Mailbox("dan@world.test"),),
    reply_to=(Mailbox("help@sendlog.test"),),
    subject="Welcome, Ann ✉",
    headers=(("X-Campaign", "autumn"),),
    body=email.Body(content=email.Content(html="<p>Hello</p>", text="Hello"), size=17),
    account_id=ACCOUNT,
    tracking=email.Tracking(opens=True, clicks=False, delivery=True, read=True),
    tags=("welcome", "autumn"),
    metadata={"order": "4711"},
    scheduled_at=datetime(2026, 11, 25, 8, 0, tzinfo=UTC),
    expires_at=datetime(2026, 11, 28, 8, 0, tzinfo=UTC),
    batch_id="019abc12-7d00-7000-8000-00000000b001",
    resent_from="019abc12-7d00-7000-8000-00000000c001",
    request_hash="9f86d081884c7d65",
)
MAILBOX_FULL: Final = delivery.Reason(
    code="452",
    enhanced_code="4.2.2",
    category="mailbox_full",
    message="452 4.2.2 mailbox is full",
    retryable=True,
    suggested_action="wait: it is tried again until it expires",
)
UNKNOWN_USER: Final = delivery.Reason(
    code="550",
    enhanced_code="5.1.1",
    category="unknown_recipient",
    message="550 5.1.1 no such user",
    retryable=False,
    suggested_action="check the address with the recipient",
)
OURS: Final = delivery.Reason(
    code="expired",
    category="expired",
    message="its time was over",
    retryable=False,
    suggested_action="send it again",
)
ANN: Final = delivery.RecipientResult(
    address="ann@world.test",
    status="sent",
    smtp_code=250,
    enhanced_code="2.0.0",
    text="2.0.0 Ok: queued as 4711",
)
BOB: Final = delivery.RecipientResult(
    address="bob@world.test",
    status="deferred",
    smtp_code=452,
    enhanced_code="4.2.2",
    category="mailbox_full",
    text="4.2.2 mailbox is full",
)
NOBODY: Final = delivery.RecipientResult(
    address="bob@world.test",
    status="failed",
    smtp_code=550,
    enhanced_code="5.1.1",
    category="unknown_recipient",
)
CONVERSATION: Final = delivery.Conversation(
    server="mx.world.test:25",
    tls="TLSv1.3",
    reused=True,
    phase="final dot",
    lines=(
        delivery.Line(at_ms=0.4, verb="MAIL FROM:<bounce@bounces.sendlog.test>", reply="250 2.1.0 Ok"),
        delivery.Line(at_ms=9.25, verb="."),
    ),
)

SAMPLES: Final[tuple[Event, ...]] = (
    submission.Requested(occurred_at=_at(0), release="at", email=EMAIL),
    submission.Rescheduled(
        occurred_at=_at(1), scheduled_at=datetime(2026, 11, 26, 8, 0, tzinfo=UTC), revision=1
    ),
    submission.Cancelled(occurred_at=_at(2, 123456)),
    schedule.Released(
        occurred_at=_at(3),
        round=2,
        attempts=1,
        expires_at=datetime(2026, 11, 28, 8, 0, tzinfo=UTC),
        results=(ANN, BOB),
        email=EMAIL,
    ),
    schedule.Expired(occurred_at=_at(4), round=2, reason=OURS),
    delivery.Sending(occurred_at=_at(5), round=2, attempt=2, claim_id=CLAIM, account_id=ACCOUNT),
    delivery.Sent(
        occurred_at=_at(6), round=2, attempt=2, claim_id=CLAIM, recipients=(ANN,), conversation=CONVERSATION
    ),
    delivery.Deferred(
        occurred_at=_at(7),
        round=2,
        attempt=2,
        claim_id=CLAIM,
        recipients=(ANN, BOB),
        conversation=CONVERSATION,
        reason=MAILBOX_FULL,
        next_attempt_at=datetime(2026, 11, 24, 12, 5, tzinfo=UTC),
        expires_at=datetime(2026, 11, 27, 12, 0, tzinfo=UTC),
        attempts=2,
        results=(ANN, BOB),
        email=EMAIL,
    ),
    delivery.Failed(
        occurred_at=_at(8),
        round=2,
        attempt=2,
        claim_id=CLAIM,
        recipients=(NOBODY,),
        conversation=CONVERSATION,
        reason=UNKNOWN_USER,
    ),
    delivery.Suppressed(
        occurred_at=_at(9),
        round=1,
        recipients=(
            delivery.RecipientResult(address="ann@world.test", status="suppressed", category="bounce"),
        ),
        reason=delivery.Reason(
            code="suppressed",
            category="suppressed",
            message="every recipient is on the suppression list",
            retryable=False,
            suggested_action="remove the address from the list if it works again",
        ),
    ),
    delivery.Unconfirmed(
        occurred_at=_at(10),
        round=1,
        attempt=1,
        claim_id=CLAIM,
        conversation=CONVERSATION,
        reason=delivery.Reason(
            code="answer_lost",
            category="ambiguous",
            message="the connection ended after the final dot",
            retryable=False,
            suggested_action="ask the recipient, or send it again",
        ),
    ),
    signal.Delivered(
        occurred_at=_at(11),
        recipient="ann@world.test",
        raw_key="acme/2026-11-24/in-1",
        action="relayed",
        reporting_mta="mx.world.test",
    ),
    signal.Delayed(occurred_at=_at(12), recipient="bob@world.test", reason=MAILBOX_FULL),
    signal.Bounced(
        occurred_at=_at(13),
        recipient="bob@world.test",
        raw_key="acme/2026-11-24/in-2",
        kind="hard",
        reason=UNKNOWN_USER,
        diagnostic="550 5.1.1 no such user",
        reporting_mta="mx.world.test",
    ),
    signal.Opened(
        occurred_at=_at(14), ip_address="192.0.2.7", user_agent="Mozilla/5.0", machine=True, reason="proxy"
    ),
    signal.Clicked(
        occurred_at=_at(15),
        recipient="ann@world.test",
        ip_address="192.0.2.7",
        user_agent="Mozilla/5.0 (X11)",
        url="https://sendlog.test/a?b=c",
    ),
    signal.Read(occurred_at=_at(16), recipient="ann@world.test", raw_key="acme/2026-11-24/in-3"),
    signal.Replied(
        occurred_at=_at(17),
        recipient="ann@world.test",
        raw_key="acme/2026-11-24/in-4",
        from_address="ann@world.test",
        subject="Re: Welcome",
        snippet="Thank you!",
        message_id="<reply@world.test>",
    ),
    signal.AutoReplied(
        occurred_at=_at(18),
        recipient="ann@world.test",
        raw_key="acme/2026-11-24/in-5",
        from_address="ann@world.test",
        subject="Out of office",
        reason="auto-submitted",
    ),
    signal.Complained(
        occurred_at=_at(19),
        recipient="ann@world.test",
        raw_key="acme/2026-11-24/in-6",
        feedback_type="not-spam",
    ),
    signal.Unsubscribed(occurred_at=_at(20), recipient="ann@world.test", via="page"),
)


def a_record(event: Event, sequence: int = 0) -> Record:
    """Return the sample as the record its golden file holds."""
    return Record(
        WORKSPACE,
        EMAIL_ID,
        EventId("00000000-0000-4000-8000-0000000000e1"),
        event,
        sequence,
        "00000000-0000-4000-8000-0000000000e0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
