"""What records presuppose, and what may be said of a row when its time has come. Pure."""

import hashlib
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.scheduler.absorbing import FINAL
from services.scheduler.row import WAITING, Row
from shared.events import delivery, schedule, status, submission
from shared.events.base import EmailId, Event, EventId, WorkspaceId
from shared.events.delivery import Reason
from shared.events.email import Email
from shared.events.record import Record

# The dispatcher's reasons that hold the whole account, not one email.
HOLDING: Final = frozenset(
    {"rate_limited", "breaker_open", "account_disabled", "account_deleted", "account_secret_unreadable"}
)
_WITHOUT_ROUND: Final = frozenset({submission.Cancelled, schedule.Expired})


class Unusable(ValueError):
    """A record that leads to sending carries no email: nothing can ever follow from it."""


def is_noise(row: Row | None, items: Iterable[Record]) -> bool:
    """Say whether nothing needs to be remembered: mail that was sent at once, without ever waiting."""
    return row is None and all(_is_first_outcome(item.event) for item in items)


def _is_first_outcome(event: Event) -> bool:
    kind = type(event)
    return kind in FINAL and kind not in _WITHOUT_ROUND and getattr(event, "round", 0) <= 1


def lacks_history(row: Row | None, items: Iterable[Record]) -> bool:
    """Say whether these records presuppose a row that is missing: the email's own records must be read.

    Another replica has the record that makes the row, or the row is gone; either way more may have
    happened than these records tell.
    """
    if row is not None:
        return False
    for item in items:
        event = item.event
        if isinstance(event, submission.Rescheduled):
            return True
        if isinstance(event, delivery.Deferred):
            return event.round > 1
        if isinstance(event, submission.Requested):
            return False
    return False


def say(row: Row, now: datetime) -> Event | None:
    """Return what the scheduler says of a row now: released, expired, or nothing yet."""
    if row.state != WAITING:
        return None
    if row.expires_at is not None and row.expires_at <= now:
        return schedule.Expired(occurred_at=now, round=row.round, reason=_expired(row))
    if row.due_at > now or row.payload is None:
        return None
    return schedule.Released(
        occurred_at=now,
        round=row.round + 1,
        attempts=row.attempts,
        expires_at=row.expires_at or now + status.DEADLINE,
        results=row.payload.results,
        email=_dated(row, row.payload.email),
    )


def _dated(row: Row, email: Email) -> Email:
    """Return the email with the Date of the time it was moved to: the one it came with may lie a year ahead."""
    return email.moved(row.due_at) if row.revision and not row.round else email


def as_record(row: Row, event: Event) -> Record:
    """Return the event as a record whose id says it all: the same step has the same id, whoever takes it."""
    payload = row.payload
    return Record(
        WorkspaceId(row.workspace),
        EmailId(row.email_id),
        _event_id(f"{row.workspace}/{row.email_id}/{event.name}/{row.round + 1}"),
        event,
        causation=payload.causation if payload else None,
        traceparent=payload.traceparent if payload else None,
    )


def _event_id(step: str) -> EventId:
    """Return a UUID of version 8 (RFC 9562): ours, out of what the step is."""
    digest = hashlib.sha256(step.encode()).hexdigest()
    return EventId(f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-b{digest[17:20]}-{digest[20:32]}")


def check(item: Record) -> None:
    """Refuse a record that no row can be made of. Raises: Unusable."""
    if not _is_uuid(item.email_id):
        raise Unusable(f"{item.email_id!r} is not the id of an email")
    if isinstance(item.event, delivery.Deferred) and item.event.email is None:
        raise Unusable("the deferral carries no email")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _expired(row: Row) -> Reason:
    last = row.payload.reason if row.payload else None
    why = f"; last: {last.message}" if last else ""
    return Reason(
        code="expired",
        category="expired",
        message=f"the deadline passed while it was waiting{why}",
        retryable=False,
        suggested_action="submit it again if it is still wanted",
    )
