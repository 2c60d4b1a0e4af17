"""Emails in any state, told by their events, numbered as the log would."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.gateway.emails import store
from shared.events import delivery, email, fold, schedule, submission
from shared.events.base import AccountId, EmailId, Event, EventId, WorkspaceId
from shared.events.record import Record
from shared.mail.address import Mailbox

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ID = EmailId("0190a0a0-0000-7000-8000-00000000000a")
ACCOUNT = AccountId("0e6a3a52-0000-4000-8000-000000000001")
BUSY = delivery.Reason(
    code="450",
    enhanced_code="4.2.0",
    message="greylisted",
    category="greylisted",
    retryable=True,
    suggested_action="wait",
)
GONE = delivery.Reason(
    code="550", message="no such user", category="bad_mailbox", retryable=False, suggested_action="remove it"
)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def requested(*to: str, release: submission.Release = "now", **fields: Any) -> submission.Requested:
    values: dict[str, Any] = {
        "message_id": f"<{ID}@sendlog.test>",
        "date": NOON,
        "boundary": "b",
        "from_": Mailbox("hello@sendlog.test", "Sendlog"),
        "to": tuple(Mailbox(one) for one in to or ("ann@world.test",)),
        "subject": "Welcome",
        "body": email.pack(email.Content(text="Hello.")),
        "account_id": ACCOUNT,
    }
    return submission.Requested(occurred_at=NOON, release=release, email=email.Email(**(values | fields)))


def sending(round_: int = 1, attempt: int = 1) -> delivery.Sending:
    return delivery.Sending(
        occurred_at=minute(round_),
        round=round_,
        attempt=attempt,
        claim_id=f"claim-{round_}",
        account_id=ACCOUNT,
    )


def result(
    address: str, status: Any, code: int | None = None, text: str | None = None
) -> delivery.RecipientResult:
    return delivery.RecipientResult(address=address, status=status, smtp_code=code, text=text)


def sent(*results: delivery.RecipientResult, round_: int = 1) -> delivery.Sent:
    return delivery.Sent(
        occurred_at=minute(round_ + 0.5),
        round=round_,
        attempt=round_,
        claim_id=f"claim-{round_}",
        recipients=results,
        conversation=delivery.Conversation(
            server="mx.world.test", lines=(delivery.Line(at_ms=1.5, verb="MAIL", reply="250 ok"),)
        ),
    )


def deferred(*results: delivery.RecipientResult, round_: int = 1) -> delivery.Deferred:
    return delivery.Deferred(
        occurred_at=minute(round_ + 0.5),
        round=round_,
        attempt=round_,
        claim_id=f"claim-{round_}",
        recipients=results,
        reason=BUSY,
        next_attempt_at=minute(round_ + 5),
        expires_at=minute(72 * 60),
        email=requested().email,
    )


def failed(*results: delivery.RecipientResult, round_: int = 1) -> delivery.Failed:
    return delivery.Failed(
        occurred_at=minute(round_ + 0.5),
        round=round_,
        attempt=round_,
        claim_id=f"claim-{round_}",
        recipients=results,
        reason=GONE,
    )


def cancelled() -> submission.Cancelled:
    return submission.Cancelled(occurred_at=minute(3))


def released(round_: int = 1) -> schedule.Released:
    return schedule.Released(occurred_at=minute(round_), round=round_, expires_at=minute(72 * 60))


def records(*events: Event, first: int = 1) -> list[Record]:
    return [
        Record(WorkspaceId("default"), ID, EventId(f"event-{number}"), event, number)
        for number, event in enumerate(events, first)
    ]


def state(*events: Event) -> fold.State:
    return fold.fold(records(*events))


def row(*events: Event) -> store.Row:
    told = records(*events)
    return store.Row(fold.fold(told), frozenset(record.event_id for record in told), tuple(told))
