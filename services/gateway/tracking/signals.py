"""One email's signals as the API shows them. Pure.

An automatic answer is told in the email's timeline alone: it says nothing about the email.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from services.gateway.emails import timeline
from shared.events import signal
from shared.events.base import REGISTRY
from shared.events.record import Record

Kind = Literal[
    "open", "click", "delivered", "read", "replied", "bounced", "complained", "unsubscribed", "delayed"
]
_KINDS: Final[dict[type[signal.Signal], Kind]] = {
    signal.Opened: "open",
    signal.Clicked: "click",
    signal.Delivered: "delivered",
    signal.Read: "read",
    signal.Replied: "replied",
    signal.Bounced: "bounced",
    signal.Complained: "complained",
    signal.Unsubscribed: "unsubscribed",
    signal.Delayed: "delayed",
}


class Signal(msgspec.Struct, frozen=True, rename="camel"):
    """Something that happened to the email; `recipient` is null where nothing names one."""

    id: str
    email_id: str
    type: Kind
    created_at: datetime
    recipient: str | None
    ip_address: str | None
    user_agent: str | None
    url: str | None
    machine: bool
    reason: str | None


TYPES: Final[dict[str, tuple[str, ...]]] = {
    word: tuple(full for full, known in REGISTRY.items() if known is kind) for kind, word in _KINDS.items()
}


def shown(records: Iterable[Record]) -> list[Signal]:
    """Return the email's signals, oldest first."""
    return [told for record in timeline.once(records) if (told := one(record))]


def one(record: Record) -> Signal | None:
    """Return a record as a signal, if it is one that is told."""
    event = record.event
    if not isinstance(event, signal.Signal) or (kind := _KINDS.get(type(event))) is None:
        return None
    return _shown(record.email_id, record.event_id, event, kind)


def _shown(email_id: str, event_id: str, event: signal.Signal, kind: Kind) -> Signal:
    hit = event if isinstance(event, signal.Hit) else None
    return Signal(
        id=event_id,
        email_id=email_id,
        type=kind,
        created_at=event.occurred_at,
        recipient=event.recipient,
        ip_address=hit.ip_address if hit else None,
        user_agent=hit.user_agent if hit else None,
        url=event.url if isinstance(event, signal.Clicked) else None,
        machine=hit.machine if hit else False,
        reason=_reason(event),
    )


def _reason(event: signal.Signal) -> str | None:
    match event:
        case signal.Hit():
            return event.reason
        case signal.Bounced() | signal.Delayed():
            return event.reason.message
        case signal.Delivered():
            return event.action
        case signal.Complained():
            return event.feedback_type
        case signal.Unsubscribed():
            return event.via
        case signal.Replied():
            return event.snippet
    return None
