"""One gateway for each file of tests of /tracking and /events, and emails with lives of their own."""

import itertools
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from services.projector import store
from shared.events import delivery, signal, submission
from shared.events.base import EmailId, Event, EventId, WorkspaceId
from shared.events.record import Record
from tests.controls.emails import ACCOUNT, NOON, an_email
from tests.integration.gateway.emails.conftest import behind, door, house
from tests.integration.gateway.emails.door import Behind

__all__ = ["behind", "door", "house"]
OTHER = "0e6a3a52-0000-4000-8000-000000000002"
_sequences = itertools.count(1)


def life(*events: Event, days: float = 0, **fields: Any) -> list[Event]:
    """Return the events of an email: requested so many days after noon, claimed, sent, and what followed."""
    at = NOON + timedelta(days=days)
    email = an_email(**fields)
    claim: dict[str, Any] = {"round": 1, "attempt": 1, "claim_id": "c"}
    return [
        submission.Requested(occurred_at=at, release="now", email=email),
        delivery.Sending(occurred_at=at, account_id=email.account_id or ACCOUNT, **claim),
        delivery.Sent(occurred_at=at + timedelta(seconds=1), **claim),
        *events,
    ]


def opened(days: float = 0, **fields: Any) -> signal.Opened:
    """Return an opening, so many days after noon."""
    return signal.Opened(occurred_at=NOON + timedelta(days=days), **fields)


async def project(behind: Behind, *lives: Iterable[Event]) -> list[str]:
    """Write these lives down as the projector does, all records of them in the log's order; return their ids."""
    ids = [str(uuid.uuid4()) for _ in lives]
    records = [
        Record(
            WorkspaceId(behind.name), EmailId(email_id), EventId(str(uuid.uuid4())), event, next(_sequences)
        )
        for email_id, events in zip(ids, lives, strict=True)
        for event in events
    ]
    await store.project(behind.pool, records)
    await reach(behind, records[-1].sequence)
    return ids


async def reach(behind: Behind, sequence: int) -> None:
    """Have the projection complete up to this record, as the projector's clock says it."""
    await behind.pool.execute("UPDATE projector.progress SET sequence = $1, projected_at = now()", sequence)
