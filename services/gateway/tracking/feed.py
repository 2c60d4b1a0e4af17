"""The pull feed: a workspace's events in the order of the log, out of the archive, so trimming takes nothing away.

A cursor is the sequence of a record. Only what lies below the point up to which the projection is whole is told, so
whatever is archived later has a higher sequence than every cursor that was given out, and none is skipped.
"""

from typing import Final

import asyncpg
import msgspec

from services.gateway.emails import store
from services.gateway.tracking import asking, fields
from services.gateway.tracking.statistics import SQL

WITHIN: Final = 10.0
LOOKED_AT: Final = 10_000
Page = tuple[list[fields.FeedEvent], fields.FeedMeta]


async def after(
    pool: asyncpg.Pool, workspace: str, sequence: int, types: list[str] | None, limit: int
) -> Page:
    """Return the events after a record, oldest first. Raises: postgres.UNAVAILABLE."""
    look_at = max(limit, LOOKED_AT) if types else limit
    rows = await store.within(WITHIN, pool.fetch(SQL["feed"], workspace, sequence, types, look_at, limit))
    head = rows[0]
    found = [row for row in rows if row["event_id"] is not None]
    if len(found) == limit:
        reached, more = found[-1]["sequence"], True
    elif head["looked_at"] == look_at:
        reached, more = head["last"], True
    else:
        reached, more = max(sequence, head["reached"]), False
    return [_told(row) for row in found], fields.FeedMeta(asking.cursor(reached), more, head["projected_at"])


def _told(row: asyncpg.Record) -> fields.FeedEvent:
    full = row["type"]
    return fields.FeedEvent(
        id=row["event_id"],
        type=f"email.{full.split('.')[2]}",
        event_type=full,
        email_id=str(row["email_id"]),
        occurred_at=row["occurred_at"],
        causation=row["causation"],
        data=msgspec.Raw(row["payload"]),
    )
