"""A row after one more record of its email: the scheduler's fold. Pure.

Records may come in any order and any number of times; a final one ends the email for good, so that a
deferral that arrives after it never wakes it up.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from services.scheduler.row import DONE, RELEASED, WAITING, Payload, Row
from shared.events import delivery, schedule, submission
from shared.events.base import Event
from shared.events.email import Email
from shared.events.record import Record

# By exact type: an instance check of a struct that fails is a call into Python, and there are many records.
FINAL: Final[frozenset[type[Event]]] = frozenset(
    {
        delivery.Sent,
        delivery.Failed,
        delivery.Suppressed,
        delivery.Unconfirmed,
        submission.Cancelled,
        schedule.Expired,
    }
)


def absorb(row: Row | None, item: Record) -> Row | None:
    """Return the row after one more record of its email."""
    kind = type(item.event)
    if kind in FINAL:
        return _finished(row, item)
    if kind is submission.Rescheduled:
        return _rescheduled(row, item)
    candidate = _candidate(item)
    if candidate is None or row is None:
        return candidate or row
    return _later(row, candidate)


def absorb_all(row: Row | None, items: Iterable[Record]) -> Row | None:
    """Return the row after these records."""
    for item in items:
        row = absorb(row, item)
    return row


def after_reading(row: Row | None, history: Sequence[Record]) -> Row | None:
    """Return the row after all records the log has of its email.

    An empty history means that all of it is trimmed.
    """
    row = absorb_all(row, history)
    if row is None or not history or history[-1].sequence < row.sequence:
        return row
    return msgspec.structs.replace(row, sequence=history[-1].sequence, proven=True)


def _candidate(item: Record) -> Row | None:
    """Return the row this record would make by itself."""
    event = item.event
    kind = type(event)
    if kind is schedule.Released:
        assert isinstance(event, schedule.Released)
        account = event.email.account_id if event.email else ""
        return _out(item, event.round, account, event.attempts, event.expires_at)
    if kind is delivery.Deferred:
        assert isinstance(event, delivery.Deferred)
        return _deferred(item, event, event.email) if event.email else None
    if kind is submission.Requested:
        assert isinstance(event, submission.Requested)
        return _requested(item, event)
    if kind is delivery.Sending:
        assert isinstance(event, delivery.Sending)
        return _out(item, event.round, event.account_id, event.attempt, None)
    return None


def _requested(item: Record, event: submission.Requested) -> Row:
    email = event.email
    if event.release == "now":  # a dispatcher has it
        return _out(item, 1, email.account_id, 0, email.expires_at)
    at = email.scheduled_at if event.release == "at" else None
    return Row(
        workspace=item.workspace,
        email_id=item.email_id,
        account_id=email.account_id,
        state=WAITING,
        due_at=at or event.occurred_at,
        bulk=email.batch_id is not None,
        sequence=item.sequence,
        expires_at=email.expires_at,
        payload=_payload(item, event.email),
    )


def _out(item: Record, round_: int, account_id: str, attempts: int, expires_at: datetime | None) -> Row:
    return Row(
        workspace=item.workspace,
        email_id=item.email_id,
        account_id=account_id,
        state=RELEASED,
        due_at=item.event.occurred_at,
        released_at=item.event.occurred_at,
        sequence=item.sequence,
        round=round_,
        attempts=attempts,
        expires_at=expires_at,
    )


def _deferred(item: Record, event: delivery.Deferred, email: Email) -> Row:
    return Row(
        workspace=item.workspace,
        email_id=item.email_id,
        account_id=email.account_id,
        state=WAITING,
        due_at=event.next_attempt_at,
        bulk=email.batch_id is not None,
        sequence=item.sequence,
        # The outcome of a claim is a fact without a guard: its holder may have been taken over meanwhile.
        proven=event.claim_id is None,
        round=event.round,
        attempts=event.attempts,
        expires_at=event.expires_at,
        reason=event.reason.code,
        payload=_payload(item, email, event),
    )


def _payload(item: Record, email: Email, event: delivery.Deferred | None = None) -> Payload:
    return Payload(
        email=email,
        results=event.results if event else (),
        reason=event.reason if event else None,
        causation=item.event_id,
        traceparent=item.traceparent,
    )


def _later(row: Row, new: Row) -> Row:
    """Return the one that is further on; the other only leaves what never goes back."""
    if row.state == DONE or (new.place, new.sequence) <= (row.place, row.sequence):
        return _seen(row, new.sequence)
    deadlines = [at for at in (row.expires_at, new.expires_at) if at is not None]
    return msgspec.structs.replace(
        new,
        account_id=new.account_id or row.account_id,
        bulk=new.bulk or row.bulk,
        due_at=new.due_at if new.state == WAITING else row.due_at,
        sequence=max(new.sequence, row.sequence),
        proven=new.proven and new.sequence > row.sequence,
        revision=row.revision,
        expires_at=max(deadlines, default=None),
    )


def _seen(row: Row, sequence: int) -> Row:
    """Return the row knowing of a record that changes nothing; it proves nothing either."""
    if sequence <= row.sequence:
        return row
    return msgspec.structs.replace(row, sequence=sequence, proven=False)


def _rescheduled(row: Row | None, item: Record) -> Row | None:
    event = item.event
    assert isinstance(event, submission.Rescheduled)
    if row is None or row.state != WAITING or row.round or event.revision <= row.revision:
        return row and _seen(row, item.sequence)
    return msgspec.structs.replace(
        row,
        due_at=event.scheduled_at,
        revision=event.revision,
        sequence=max(row.sequence, item.sequence),
        proven=row.proven or item.sequence > row.sequence,
    )


def _finished(row: Row | None, item: Record) -> Row:
    """Return the tombstone: it stays until the email's last record is trimmed."""
    round_ = getattr(item.event, "round", 0)
    if row is None:
        return Row(
            workspace=item.workspace,
            email_id=item.email_id,
            account_id="",
            state=DONE,
            due_at=item.event.occurred_at,
            sequence=item.sequence,
            round=round_,
        )
    return msgspec.structs.replace(
        row,
        state=DONE,
        sequence=max(row.sequence, item.sequence),
        round=max(row.round, round_),
        released_at=None,
        payload=None,
    )
