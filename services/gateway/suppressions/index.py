"""Lists of suppressions out of the read model; what is in force is asked of the bucket, never here."""

import base64
import binascii
import math
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
from msgspec import UNSET

from services.gateway.emails import index, listing, store
from services.gateway.errors import Problem, invalid
from services.gateway.suppressions.fields import Query, Suppression
from shared.mail import address
from shared.runtime import postgres

SQL: Final = postgres.statements(Path(__file__).with_name("store.sql"))
_SEEN: Final = struct.Struct(">q32s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK: Final = 2000
EXPORT_WITHIN: Final = 3600.0

Page = tuple[list[Suppression], index.Meta]


async def find(pool: asyncpg.Pool, workspace: str, query: Query) -> Page:
    """Return a page, newest first. Raises: ApiError for a foreign cursor; postgres.UNAVAILABLE."""
    after = _opened(query.cursor) if query.cursor is not None else (None, None)
    if query.cursor is None and (query.page - 1) * query.per_page > listing.MAX_OFFSET:
        reason = f"reaches past row {listing.MAX_OFFSET}; follow meta.next_cursor instead"
        raise invalid([Problem("$.page", reason)])
    return await store.within(index.WITHIN, _find(pool, filters(workspace, query), query, after))


def filters(workspace: str, query: Query) -> tuple[Any, ...]:
    """Return the arguments of the conditions: workspace, reason, whole address, part of one, part of anything."""
    whole, part = None, None
    if query.email is not None:
        try:
            whole = address.normalised(address.parse(query.email).address)
        except address.AddressError:
            part = listing.contains(query.email.lower())
    return workspace, query.reason, whole, part, listing.contains(query.q) if query.q else None


async def _find(pool: asyncpg.Pool, asked: tuple[Any, ...], query: Query, after: tuple[Any, Any]) -> Page:
    offset = (query.page - 1) * query.per_page if query.cursor is None else 0
    async with pool.acquire() as connection:
        # The moment first: what is projected after it may be in the page, never the other way round.
        projected_at = await connection.fetchval(SQL["begin"])
        statement = SQL["page"].format(where=SQL["where"])
        rows = await connection.fetch(statement, *asked, *after, query.per_page + 1, offset)
        total = await _count(connection, asked)
    more, rows = len(rows) > query.per_page, rows[: query.per_page]
    meta = index.Meta(
        page=query.page if query.cursor is None else 1,
        per_page=query.per_page,
        total=total.rows,
        total_pages=math.ceil(total.rows / query.per_page),
        next_cursor=_closed(rows[-1]) if more else None,
        projected_at=projected_at,
        total_estimated=True if total.estimated else UNSET,
    )
    return [_shown(row) for row in rows], meta


async def _count(connection: Any, asked: tuple[Any, ...]) -> index.Total:
    statement = SQL["count"].format(where=SQL["where"])
    rows = await connection.fetchval(statement, *asked, index.EXACT_TO + 1)
    if rows <= index.EXACT_TO:
        return index.Total(rows)
    plan = await connection.fetchval(SQL["estimate"].format(where=SQL["where"]), *asked)
    estimate = int(msgspec.json.decode(plan)[0]["Plan"]["Plan Rows"])
    return index.Total(max(estimate, rows), estimated=True)


async def every(pool: asyncpg.Pool, workspace: str, reason: str | None) -> AsyncIterator[list[Suppression]]:
    """Yield all suppressions, newest first, as they are at one moment and with flat memory."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        cursor = await connection.cursor(SQL["export"], workspace, reason, timeout=EXPORT_WITHIN)
        while rows := await cursor.fetch(_CHUNK):
            yield [_shown(row) for row in rows]


def _shown(row: asyncpg.Record) -> Suppression:
    return Suppression(
        email=row["email"], reason=row["reason"], detail=row["detail"], created_at=row["created_at"]
    )


def _closed(row: asyncpg.Record) -> str:
    packed = _SEEN.pack((row["created_at"] - _EPOCH) // timedelta(microseconds=1), row["hash"])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _opened(cursor: str) -> tuple[datetime, bytes]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        packed = base64.b64decode(padded, altchars=b"-_", validate=True)
        microseconds, digest = _SEEN.unpack(packed)
        return _EPOCH + timedelta(microseconds=microseconds), digest
    except (binascii.Error, struct.error, UnicodeError, OverflowError):
        reason = "is not a cursor of ours; take it from meta.next_cursor"
        raise invalid([Problem("$.cursor", reason)]) from None
