"""The table of counts: changed with the rows it counts, in one transaction, and put right from a snapshot.

What a batch changes is added, so everybody's changes commute. A recount therefore needs no quiet: what one snapshot
of emails and archive says, less what the same snapshot has in the table, is one more change to be added.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from services.projector import counting, rows
from shared.events import base, record, signal
from shared.runtime import postgres

SQL: Final = postgres.statements(Path(__file__).with_name("counts.sql"))
WITHIN: Final = 6 * 3600.0
_SIGNALS: Final = [name for name, kind in base.REGISTRY.items() if issubclass(kind, signal.Signal)]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PREFETCH: Final = 2000


async def add(connection: Any, counts: counting.Counts) -> int:
    """Add what changes, in the order of keys; return how many rows that touched."""
    changes = counts.changes()
    if changes:
        values = [(key.workspace, key.tag, key.at, key.account_id, *sums) for key, sums in changes]
        await connection.execute(SQL["add"], *zip(*values, strict=True))
    return len(changes)


async def recount(pool: asyncpg.Pool, workspace: str | None = None) -> int:
    """Count everything again and put the table right; return how many of its rows were wrong.

    Live traffic may go on. Raises: what asyncpg raises.
    """
    async with pool.acquire() as connection:
        await connection.execute(SQL["lock"], timeout=WITHIN)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                found = await _found(connection, workspace)
            async with connection.transaction():
                return await add(connection, found)
        finally:
            await connection.execute(SQL["unlock"])


async def _found(connection: Any, workspace: str | None) -> counting.Counts:
    """Return what is missing in the table, in the connection's snapshot."""
    counts = counting.Counts()
    async for name, state in _rows(connection, "states", workspace):
        known = rows.readable_state(state)
        counts.note(name, known.email, counting.of_state(known))
    async for name, state, kind, payload in _rows(connection, "signals", workspace, _SIGNALS):
        known = rows.readable_state(state)
        counts.note(name, known.email, counting.of_events(_readable(name, kind, payload)))
    async for name, tag, at, account_id, *sums in _rows(connection, "read", workspace):
        quarter = int((at - _EPOCH).total_seconds() // counting.SECONDS)
        counts.subtract(counting.Key(name, tag, account_id, quarter), sums)
    return counts


def _readable(workspace: str, kind: str, payload: bytes) -> list[record.Record]:
    try:
        return [record.decode_archived(workspace, "", "", kind, payload, 0)]
    except (record.UnknownEvent, record.Undecodable):
        return []


async def _rows(connection: Any, name: str, *arguments: Any) -> AsyncIterator[Any]:
    cursor = await connection.cursor(SQL[name], *arguments, timeout=WITHIN)
    while found := await cursor.fetch(_PREFETCH, timeout=WITHIN):
        for row in found:
            yield row
