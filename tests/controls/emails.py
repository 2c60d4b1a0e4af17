"""Sample emails and records, as small as the test that uses them allows."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.events import email, record, submission
from shared.events.base import AccountId, EmailId, Event, EventId, WorkspaceId
from shared.mail.address import Mailbox
from shared.runtime.instrumenting import Origin
from shared.runtime.keyring import Keyring, _File
from shared.runtime.tokens import Tokens

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ACCOUNT = AccountId("0e6a3a52-0000-4000-8000-000000000001")
WORKSPACE = WorkspaceId("default")
TOKENS = Tokens(Keyring(_File(current="k1", keys={"k1": bytes(range(32))})))


def an_email(*to: str, text: str = "Hello.", **fields: Any) -> email.Email:
    """Return an accepted email to these addresses."""
    values: dict[str, Any] = {
        "message_id": f"<{uuid.uuid4()}@sendlog.test>",
        "date": NOON,
        "boundary": "b" * 24,
        "from_": Mailbox("hello@sendlog.test", "Sendlog"),
        "to": tuple(Mailbox(address) for address in to or ("ann@world.test",)),
        "subject": "Welcome",
        "body": email.pack(email.Content(text=text)),
        "account_id": ACCOUNT,
    }
    return email.Email(**(values | fields))


def a_request(
    *to: str, release: submission.Release = "now", at: datetime | None = None, **fields: Any
) -> record.Record:
    """Return the record of an email just requested; `at` is when (default: now)."""
    event = submission.Requested(
        occurred_at=at or datetime.now(UTC), release=release, email=an_email(*to, **fields)
    )
    return a_record(event)


def an_origin(workspace: str = WORKSPACE, email_id: str | None = None) -> Origin:
    """Return what an email's links and handles are made with."""
    return Origin(TOKENS, workspace, email_id or str(uuid.uuid4()))


def a_record(event: Event, *, email_id: str | None = None, sequence: int = 0) -> record.Record:
    """Return an event as a record of one email."""
    return record.Record(
        WORKSPACE,
        EmailId(email_id or str(uuid.uuid4())),
        EventId(str(uuid.uuid4())),
        event,
        sequence,
    )


def minutes(count: float) -> timedelta:
    """Return a duration in minutes."""
    return timedelta(minutes=count)
