"""The projector's tables as the gateway reads them: one email, its archive and content, and lists.

Every query names the workspace. A question that Postgres does not answer in time ends all the same, also
when the server hangs: a connection that is being cancelled must not hold the request.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import msgspec
import structlog

from shared.events import email, fold, record
from shared.runtime import postgres

logger = structlog.get_logger(__name__)
T = TypeVar("T")
SQL: Final = postgres.statements(Path(__file__).with_name("store.sql"))
_decode_state: Final = msgspec.msgpack.Decoder(fold.State).decode
_body: Final = msgspec.msgpack.Decoder(email.Body).decode
_abandoned: Final[set["asyncio.Task[Any]"]] = set()


class Row(NamedTuple):
    """An email as projected, with the ids of the events in it; `records` only where they were asked for."""

    state: fold.State
    archived: frozenset[str]
    records: tuple[record.Record, ...] = ()


async def within(seconds: float, question: Coroutine[Any, Any, T]) -> T:
    """Return the answer, or leave the question to end by itself. Raises: TimeoutError."""
    task = asyncio.create_task(question)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not done:
        _abandon(task)
        raise TimeoutError("the database did not answer in time")
    return task.result()


def _abandon(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: "asyncio.Task[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()


async def find(pool: asyncpg.Pool, workspace: str, email_id: str) -> Row | None:
    """Return the row and what is archived of it. Raises: postgres.UNAVAILABLE."""
    found = await pool.fetchrow(SQL["find"], workspace, email_id)
    if not found:
        return None
    state = read_state(email_id, found["state"])
    return Row(state, frozenset(found["archived"])) if state else None


async def find_with_events(pool: asyncpg.Pool, workspace: str, email_id: str) -> Row | None:
    """Return the row and its archived events. Raises: postgres.UNAVAILABLE."""
    rows = await pool.fetch(SQL["find_with_events"], workspace, email_id)
    state = read_state(email_id, rows[0]["state"]) if rows else None
    if state is None:
        return None
    archived = [row for row in rows if row["event_id"] is not None]
    records = [read_record(workspace, email_id, row) for row in archived]
    return Row(
        state,
        frozenset(row["event_id"] for row in archived),
        tuple(known for known in records if known is not None),
    )


def read_record(workspace: str, email_id: str, row: asyncpg.Record) -> record.Record | None:
    """Return a row of the archive as a record; None where it cannot be read."""
    payload = row["payload"]
    data = payload.encode() if isinstance(payload, str) else payload
    try:
        return record.decode_archived(
            workspace, email_id, row["event_id"], row["type"], data, row["sequence"]
        )
    except (record.UnknownEvent, record.Undecodable) as error:
        # Newer software archived it, or it is damaged: this one cannot tell its story.
        logger.warning("event_unreadable", email_id=email_id, error=str(error))
        return None


async def find_state(pool: asyncpg.Pool, workspace: str, email_id: str) -> fold.State | None:
    """Return the projected state alone. Raises: postgres.UNAVAILABLE."""
    found = await pool.fetchval(SQL["find_state"], workspace, email_id)
    return read_state(email_id, found) if found else None


def read_state(email_id: str, data: bytes) -> fold.State | None:
    """Return the projected state; one that cannot be read counts as absent, for the log may know more."""
    try:
        return _decode_state(data)
    except (msgspec.MsgspecError, ValueError) as error:
        logger.error("row_unreadable", email_id=email_id, error=str(error))
        return None


async def has_expired(pool: asyncpg.Pool, workspace: str, email_id: str) -> bool:
    """Say whether the email's content was deleted when its time was over. Raises: postgres.UNAVAILABLE."""
    return bool(await pool.fetchval(SQL["has_expired"], workspace, email_id))


async def is_due(pool: asyncpg.Pool, workspace: str, email_id: str) -> bool:
    """Say whether the email's content may be deleted any moment. Raises: postgres.UNAVAILABLE."""
    return bool(await pool.fetchval(SQL["is_due"], workspace, email_id))


async def find_content(pool: asyncpg.Pool, workspace: str, email_id: str) -> email.Body | None:
    """Return the archived body, unless it has expired. Raises: postgres.UNAVAILABLE."""
    found = await pool.fetchval(SQL["find_content"], workspace, email_id)
    return _body(found) if found else None
