"""Exports of what came back: every signal of a selection, streamed out of one snapshot with flat memory."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from services.gateway.emails import store
from services.gateway.suppressions import rows as csv
from services.gateway.tracking import asking, signals
from services.gateway.tracking.statistics import SQL

WITHIN: Final = 6 * 3600.0
CHUNK: Final = 500
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
COLUMNS: Final = tuple(field.encode_name for field in msgspec.structs.fields(signals.Signal))
_encode: Final = msgspec.json.Encoder().encode


async def every(
    pool: asyncpg.Pool,
    workspace: str,
    selection: asking.Selection,
    as_csv: bool,
    turn: asyncio.Semaphore,
) -> AsyncGenerator[bytes, None]:
    """Yield the file piece by piece, oldest first, as it all is at one moment.

    `turn` is held meanwhile: a slow reader holds a connection to the database.
    """
    if as_csv:
        yield csv.written([COLUMNS])
    async with (
        turn,
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        cursor = await connection.cursor(SQL["signals"], workspace, *selection, timeout=WITHIN)
        while rows := await cursor.fetch(CHUNK, timeout=WITHIN):
            found = _signals(workspace, rows)
            yield csv.written(map(_cells, found)) if as_csv else _lines(found)


def _signals(workspace: str, rows: Iterable[asyncpg.Record]) -> list[signals.Signal]:
    read = (store.read_record(workspace, str(row["email_id"]), row) for row in rows)
    return [told for item in read if item and (told := signals.one(item))]


def _lines(found: Sequence[signals.Signal]) -> bytes:
    return b"".join(_encode(one) + b"\n" for one in found)


def _cells(one: signals.Signal) -> list[Any]:
    """Return a signal as JSON writes its values, for a file of one kind should read as the other does."""
    return [_cell(value) for value in msgspec.to_builtins(one).values()]


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
