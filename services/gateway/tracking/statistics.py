"""Statistics out of the projector's counts: a series without holes, its sums, and their rates."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from services.gateway.emails import store
from services.gateway.tracking import asking, fields, periods
from shared.runtime import postgres

SQL: Final = postgres.statements(Path(__file__).with_name("store.sql"))
WITHIN: Final = 10.0
_OF_EMAILS: Final = ("accepted", "sent", "failed", "suppressed")
_TOTALS: Final = {
    name: f"emails_{name}" if name in _OF_EMAILS else name for name in fields.Totals.__struct_fields__
}
_UNIQUE: Final = {name: f"emails_{name}" for name in fields.Unique.__struct_fields__}
_NOTHING: Final = (fields.Totals(), fields.Unique())
Counted = tuple[fields.Totals, fields.Unique]
Numbers = TypeVar("Numbers", fields.Totals, fields.Unique)


async def find(
    pool: asyncpg.Pool, workspace: str, period: asking.Period, interval: periods.Interval
) -> tuple[fields.Stats, fields.StatsMeta]:
    """Return the statistics of a period. Raises: postgres.UNAVAILABLE."""
    return await store.within(WITHIN, _find(pool, workspace, period, interval))


async def _find(
    pool: asyncpg.Pool, workspace: str, period: asking.Period, interval: periods.Interval
) -> tuple[fields.Stats, fields.StatsMeta]:
    async with pool.acquire() as connection:
        # The moment first: what is projected after it may be counted, never the other way round.
        projected_at = await connection.fetchval(SQL["projected_at"])
        rows = await connection.fetch(
            SQL["counts"],
            period.starts,
            workspace,
            period.tag or "",
            period.account_id or "",
            period.begin,
            period.end,
        )
    return told([dict(row) for row in rows], period, interval), fields.StatsMeta(projected_at)


def told(
    rows: Sequence[Mapping[str, Any]], period: asking.Period, interval: periods.Interval
) -> fields.Stats:
    """Return the statistics out of the sums of the intervals in which anything happened. Pure."""
    counted = {
        row["place"]: (_read(row, fields.Totals, _TOTALS), _read(row, fields.Unique, _UNIQUE)) for row in rows
    }
    totals = _sum(fields.Totals, [found for found, _ in counted.values()])
    unique = _sum(fields.Unique, [found for _, found in counted.values()])
    series = []
    for place, at in enumerate(period.starts, start=1):
        some: Counted = counted.get(place, _NOTHING)
        series.append(fields.Point(at=at, totals=some[0], unique=some[1]))
    return fields.Stats(
        from_=period.begin,
        to=period.end,
        interval=interval,
        timezone=period.zone.key,
        totals=totals,
        unique=unique,
        rates=rates(totals, unique),
        series=series,
    )


def rates(totals: fields.Totals, unique: fields.Unique) -> fields.Rates:
    """Return what part of the emails sent it happened to. Pure."""
    sent = totals.sent
    return fields.Rates(
        delivery=_part(unique.delivered, sent),
        bounce=_part(unique.bounced, sent),
        open=_part(unique.opened, sent),
        click=_part(unique.clicked, sent),
        click_to_open=_part(unique.clicked, unique.opened),
        read=_part(unique.read, sent),
        reply=_part(unique.replied, sent),
        complaint=_part(unique.complained, sent),
        unsubscribe=_part(unique.unsubscribed, sent),
    )


def _part(count: int, whole: int) -> float | None:
    """Return the part, or None: of nothing, or of less than it, for what was sent before the period counts in it."""
    return round(count / whole, 6) if whole and count <= whole else None


def _read(row: Mapping[str, Any], kind: type[Numbers], columns: Mapping[str, str]) -> Numbers:
    return kind(**{name: int(row[column]) for name, column in columns.items()})


def _sum(kind: type[Numbers], found: Sequence[Numbers]) -> Numbers:
    together = [msgspec.structs.astuple(one) for one in found]
    return kind(**dict(zip(kind.__struct_fields__, map(sum, zip(*together, strict=True)), strict=False)))
