"""Lists of emails out of the read model: one page by keyset or offset, and how many there are.

Only the conditions that were asked for stand in a query, so an index can serve it. Counting stops at
10,000: beyond that the planner's estimate is told, and kept a while, for counting a million rows for each
page would cost more than the page.
"""

import copy
import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from services.gateway.emails import listing, presentation, store
from services.gateway.estimates import Estimates
from shared.events.base import EmailId

EXACT_TO: Final = 10_000
WITHIN: Final = 10.0


class Meta(msgspec.Struct, frozen=True):
    """Where in the list this page is; `projected_at`: up to which moment the list is complete."""

    page: int
    per_page: int
    total: int
    total_pages: int
    next_cursor: str | None
    projected_at: datetime | None
    total_estimated: bool | UnsetType = UNSET


class Found(NamedTuple):
    """One page."""

    emails: list[presentation.Shown]
    meta: Meta


class Total(NamedTuple):
    """How many rows there are, and whether that is an estimate."""

    rows: int
    estimated: bool = False


class Conditions:
    """A WHERE clause out of named fragments, with its arguments numbered as they come."""

    def __init__(self, workspace: str, filters: Iterable[listing.Condition]) -> None:
        self.arguments: list[Any] = []
        self._texts: list[str] = []
        self.add("workspace", workspace)
        for name, value in filters:
            self.add(name, *([value] * store.SQL[f"where_{name}"].count("{}")))

    def add(self, name: str, *arguments: Any) -> None:
        """Add one condition and its arguments."""
        first = len(self.arguments) + 1
        self._texts.append(
            store.SQL[f"where_{name}"].format(*(f"${first + n}" for n in range(len(arguments))))
        )
        self.arguments += arguments

    def copy(self) -> "Conditions":
        """Return the same conditions, to be added to."""
        copied = copy.copy(self)
        copied.arguments, copied._texts = [*self.arguments], [*self._texts]
        return copied

    @property
    def where(self) -> str:
        """The conditions, all of which must hold."""
        return " AND ".join(self._texts)


async def find(pool: asyncpg.Pool, known: Estimates, workspace: str, asked: listing.Listing) -> Found:
    """Return the page that was asked for. Raises: postgres.UNAVAILABLE."""
    return await store.within(WITHIN, _find(pool, known, workspace, asked))


async def _find(pool: asyncpg.Pool, known: Estimates, workspace: str, asked: listing.Listing) -> Found:
    conditions = Conditions(workspace, asked.filters)
    async with pool.acquire() as connection:
        projected_at, rows = await _page(connection, conditions, asked)
        more = len(rows) > asked.per_page
        total = _told_by(rows, more, asked) or await _count(connection, known, conditions)
    rows = rows[: asked.per_page]
    states = ((EmailId(str(row["email_id"])), row["state"]) for row in rows)
    read = ((email_id, store.read_state(email_id, data)) for email_id, data in states)
    shown = [presentation.shown(email_id, state) for email_id, state in read if state]
    meta = Meta(
        page=1 if asked.after else asked.page,
        per_page=asked.per_page,
        total=total.rows,
        total_pages=math.ceil(total.rows / asked.per_page),
        next_cursor=_place_of(rows[-1], asked.newest_first) if more else None,
        projected_at=projected_at,
        total_estimated=True if total.estimated else UNSET,
    )
    return Found(shown, meta)


def _place_of(row: asyncpg.Record, newest_first: bool) -> str:
    return listing.cursor(listing.Place(row["created_at"], str(row["email_id"])), newest_first)


async def _page(
    connection: asyncpg.pool.PoolConnectionProxy, conditions: Conditions, asked: listing.Listing
) -> tuple[datetime | None, list[asyncpg.Record]]:
    """Return the moment up to which the page is complete, and its rows and one more."""
    if asked.after is not None:
        conditions = conditions.copy()
        conditions.add("older_than" if asked.newest_first else "newer_than", *asked.after)
    order = store.SQL["newest_first" if asked.newest_first else "oldest_first"]
    statement = store.SQL["page"].format(
        where=conditions.where, order=order, limit=asked.per_page + 1, offset=_offset(asked)
    )
    rows = await connection.fetch(statement, *conditions.arguments)
    return rows[0]["projected_at"] if rows else None, [row for row in rows if row["email_id"] is not None]


def _offset(asked: listing.Listing) -> int:
    return 0 if asked.after else (asked.page - 1) * asked.per_page


def _told_by(rows: list[asyncpg.Record], more: bool, asked: listing.Listing) -> Total | None:
    """Return the total if the page ends the list, for then nothing needs to be counted."""
    if more or asked.after is not None or (asked.page > 1 and not rows):
        return None
    return Total(_offset(asked) + len(rows))


async def _count(
    connection: asyncpg.pool.PoolConnectionProxy, known: Estimates, conditions: Conditions
) -> Total:
    key = (conditions.where, repr(conditions.arguments))
    if (estimate := known.get(key)) is not None:
        return Total(estimate, estimated=True)
    statement = store.SQL["count"].format(where=conditions.where, limit=EXACT_TO + 1)
    rows = int(await connection.fetchval(statement, *conditions.arguments))
    if rows <= EXACT_TO:
        return Total(rows)
    plan = await connection.fetchval(
        store.SQL["estimate"].format(where=conditions.where), *conditions.arguments
    )
    estimate = max(int(msgspec.json.decode(plan)[0]["Plan"]["Plan Rows"]), rows)
    known.keep(key, estimate)
    return Total(estimate, estimated=True)
