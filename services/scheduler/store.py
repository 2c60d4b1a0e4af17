"""The scheduler's table, its lanes and its holds in Postgres.

Rows are read, decided on in Python and written back; no statement knows what a state means beyond
which rows wait. Losing a write is never losing an email: the log decides again.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import structlog

from services.scheduler.credit import Standing
from services.scheduler.row import WAITING, Key, Lane, Payload, Row
from shared.runtime import postgres

logger = structlog.get_logger(__name__)
# A queue's statistics are always out of date, and one plan by them reads a million rows for ten.
PLANNER: Final = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
# What a repeat cannot mend: the values themselves.
UNACCEPTABLE: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, OverflowError)
# How many rows one step of tidying takes, as store.sql says; fewer where each brings its email along.
STEP: Final = 1000
EXPIRED_STEP: Final = 200
LOST_STEP: Final = 100
UNAVAILABLE: Final = (*postgres.UNAVAILABLE, asyncpg.PostgresError)
COLUMNS: Final = (*Row.__struct_fields__,)
_SQL: Final = postgres.statements(Path(__file__).with_name("store.sql"))
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Payload).decode


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """An account that cannot go on before `until`, as a dispatcher said at `since`."""

    lane: Lane
    until: datetime
    since: datetime
    code: str


class Transaction:
    """The statements within one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def lock(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """Lock what is there of these emails and return it, without payloads."""
        ordered = sorted(keys)
        found = await self._connection.fetch(_SQL["lock_rows"], *_columns(ordered, 2))
        rows = (_row(values) for values in found)
        return {row.key: row for row in rows}

    async def insert(self, rows: Sequence[Row]) -> set[Key]:
        """Insert rows and return those that were not there yet."""
        if not rows:
            return set()
        found = await self._connection.fetch(
            _SQL["insert_rows"], *_columns(_sorted_values(rows), len(COLUMNS))
        )
        return {Key(*values) for values in found}

    async def update(self, rows: Sequence[Row]) -> None:
        """Write locked rows back."""
        if rows:
            await self._connection.execute(_SQL["update_rows"], *_columns(_sorted_values(rows), len(COLUMNS)))

    async def end_waits(self, ended: Iterable[tuple[Row, Row]]) -> set[str]:
        """Write rows back that wait no longer (as they were read, as they are now).

        Returns the emails whose row was still as it was read; nothing is written of the others.
        """
        values = sorted(
            (
                old.workspace,
                old.email_id,
                old.sequence,
                new.state,
                new.sequence,
                new.round,
                new.expires_at,
                new.released_at,
            )
            for old, new in ended
        )
        if not values:
            return set()
        found = await self._connection.fetch(_SQL["end_waits"], *_columns(values, 8))
        return {email_id for (email_id,) in found}

    async def hold(self, holds: Iterable[Hold]) -> None:
        """Hold accounts; the later end of two holds."""
        values = sorted((*hold.lane, hold.until, hold.since, hold.code) for hold in holds)
        if values:
            await self._connection.execute(_SQL["write_holds"], *_columns(values, 5))

    async def lift(self, changed: Mapping[Lane, datetime]) -> None:
        """End the holds of accounts that were changed after they had been held."""
        if changed:
            values = [(*lane, at) for lane, at in sorted(changed.items())]
            await self._connection.execute(_SQL["lift_holds"], *_columns(values, 3))

    async def lock_lanes(self, lanes: Iterable[Lane]) -> dict[Lane, Standing]:
        """Lock those lanes that no other scheduler has, and return how they stand."""
        found = await self._connection.fetch(_SQL["lock_lanes"], *_columns(sorted(lanes), 2))
        paces = {Lane(workspace, account_id): next_at for workspace, account_id, next_at in found}
        found = await self._connection.fetch(_SQL["standings"], *_columns(sorted(paces), 2))
        return {
            (lane := Lane(workspace, account_id)): Standing(
                outstanding=outstanding,
                elsewhere=everybody - outstanding,
                next_at=paces[lane],
                held_until=until,
                held_since=since,
            )
            for workspace, account_id, until, since, outstanding, everybody in found
        }

    async def due(self, quotas: Mapping[Lane, int], now: datetime, *, bulk: bool) -> list[Any]:
        """Return up to that many due rows of each lane, the longest due first, undecoded (see `as_row`)."""
        values = [(*lane, quota) for lane, quota in sorted(quotas.items()) if quota > 0]
        if not values:
            return []
        found: list[Any] = await self._connection.fetch(_SQL["due_rows"], *_columns(values, 3), bulk, now)
        return found

    async def pace(self, slots: Mapping[Lane, datetime]) -> None:
        """Write down the next free moment of locked lanes."""
        if slots:
            values = [(*lane, at) for lane, at in sorted(slots.items())]
            await self._connection.execute(_SQL["pace_lanes"], *_columns(values, 3))

    async def next_due(self, lanes: Sequence[Lane]) -> dict[Lane, datetime]:
        """Return when the next row of each lane is due, for those that have one."""
        if not lanes:
            return {}
        found = await self._connection.fetch(_SQL["next_due"], *_columns(sorted(lanes), 2))
        return {Lane(workspace, account_id): at for workspace, account_id, at in found if at is not None}

    async def is_the_one(self) -> bool:
        """Become the one scheduler that tidies up, for the length of the transaction, if nobody is."""
        return bool(await self._connection.fetchval(_SQL["only_one"]))

    async def expired(self, now: datetime) -> list[Any]:
        """Return some of the rows whose deadline has passed, undecoded."""
        found: list[Any] = await self._connection.fetch(_SQL["expired_rows"], now)
        return found

    async def long_released(self, before: datetime) -> list[Row]:
        """Return some of the rows that have been out since before `before`."""
        return [_row(values) for values in await self._connection.fetch(_SQL["long_released"], before)]

    async def trim_done(self, first_sequence: int) -> int:
        """Delete some tombstones whose last record is trimmed from the log; return how many."""
        return _count(await self._connection.execute(_SQL["trim_done"], first_sequence))

    async def give_deadlines(self, now: datetime, deadline: datetime) -> int:
        """Give some of the mail of accounts that cannot send a deadline; return how many."""
        return _count(await self._connection.execute(_SQL["give_deadlines"], now, deadline))

    async def drop_holds(self, before: datetime) -> int:
        """Forget holds that ended before `before`; return how many."""
        return _count(await self._connection.execute(_SQL["drop_holds"], before))

    async def postpone(self, rows: Sequence[Row], until: datetime) -> None:
        """Let rows wait longer that cannot be spoken of now."""
        await self._connection.execute(_SQL["postpone"], *_columns([row.key for row in rows], 2), until)

    async def copy(self, rows: Iterable[Row]) -> None:
        """Insert many new rows in bulk; fails as a whole when one of them is there."""
        await self._connection.copy_records_to_table(
            "waiting", schema_name="scheduler", columns=COLUMNS, records=(_values(row) for row in rows)
        )


class Store:
    """The pool, and whether the database worked when it was last asked."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.problem: str | None = None

    async def check(self) -> str | None:
        """Return why the database did not work when it was last asked, at most a second ago."""
        return self.problem

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Run one transaction. Raises: UNAVAILABLE, UNACCEPTABLE."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                yield Transaction(connection)
        except UNACCEPTABLE:
            raise
        except UNAVAILABLE as error:
            self.problem = str(error) or repr(error)
            raise
        self.problem = None

    async def add_lanes(self, lanes: Iterable[Lane]) -> None:
        """Make lanes that are new."""
        async with self._pool.acquire() as connection:
            await connection.execute(_SQL["add_lanes"], *_columns(sorted(lanes), 2))

    async def look(self) -> tuple[dict[Lane, datetime], datetime | None]:
        """Return when each lane has something due, and the earliest deadline. Raises: UNAVAILABLE."""
        try:
            async with self._pool.acquire() as connection:
                found = await connection.fetch(_SQL["look"])
        except UNAVAILABLE as error:
            self.problem = str(error) or repr(error)
            raise
        self.problem = None
        lanes = {
            Lane(workspace, account_id): at for workspace, account_id, at in found if workspace is not None
        }
        return lanes, found[-1]["at"]


def as_row(values: Any) -> Row:
    """Return a fetched row with its payload, or without when that is damaged."""
    row = _row(values)
    try:
        return msgspec.structs.replace(row, payload=_decode(values[14]))
    except (msgspec.MsgspecError, TypeError) as error:
        logger.error("payload_unreadable", email_id=row.email_id, problem=repr(error))
        return row


def _row(values: Any) -> Row:
    return Row(
        workspace=values[0],
        email_id=values[1],
        account_id=values[2],
        state=values[3],
        due_at=values[4],
        sequence=values[5],
        proven=values[6],
        bulk=values[7],
        round=values[8],
        attempts=values[9],
        revision=values[10],
        expires_at=values[11],
        released_at=values[12],
        reason=values[13],
    )


def _sorted_values(rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """Return the rows' values in the order in which everybody locks."""
    return sorted((_values(row) for row in rows), key=lambda values: values[:2])


def _values(row: Row) -> tuple[Any, ...]:
    payload = _encode(row.payload) if row.payload is not None and row.state == WAITING else None
    return (
        row.workspace,
        row.email_id,
        row.account_id,
        row.state,
        row.due_at,
        row.sequence,
        row.proven,
        row.bulk,
        row.round,
        row.attempts,
        row.revision,
        row.expires_at,
        row.released_at,
        row.reason,
        payload,
    )


def _columns(values: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [list(column) for column in zip(*values, strict=True)] if values else [[] for _ in range(count)]


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
