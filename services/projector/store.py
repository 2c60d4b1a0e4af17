"""The projector's tables: one batch of records is one transaction.

Rows are locked in the order of their keys, an event is archived once, and only what was newly archived is
folded, all in one transaction: so a row is always the fold of its archived events, whoever else is writing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from services.projector import archive, counting, counts, rows
from shared.events import fold, record, status, submission
from shared.events.email import Email
from shared.runtime import postgres

SQL: Final = postgres.statements(Path(__file__).with_name("store.sql"))
STRETCH: Final = 4096
PIECE: Final = 200  # emails
_PIECES: Final = 3
CONTENT_DAYS: Final = 30
_TRIES: Final = 20
_AGAIN: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    msgspec.MsgspecError,  # a row that cannot be read is made again from its archive
)


Locked = dict[int, tuple[int, bytes]]  # place -> (last_sequence, state)


async def project(
    pool: asyncpg.Pool, records: Iterable[record.Record], *, content_days: float = CONTENT_DAYS
) -> set[int]:
    """Archive and fold a batch of the log's records; return the sequences that were new to the archive.

    Order, repeats and concurrent callers do not matter. Raises: what asyncpg raises; nothing is written then.
    """
    lanes, keep = rows.arrange(records), timedelta(days=content_days)
    # Up to three transactions of different emails: one computes here while the database works on the others.
    size = max(PIECE, -(-len(lanes) // _PIECES))
    pieces = [_write(pool, lanes[at : at + size], keep) for at in range(0, len(lanes), size)]
    new: set[int] = set()
    # All end before an error is raised: nothing of this batch is under way after that.
    for outcome in await asyncio.gather(*pieces, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        new |= outcome
    return new


async def _write(pool: asyncpg.Pool, lanes: list[rows.Lane], keep: timedelta) -> set[int]:
    for attempt in range(_TRIES):
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(SQL["plan"])
                batch = Batch(connection, keep)
                # The first try expects to be alone and writes by COPY; later ones ask before each step.
                return await (batch.write_alone(lanes) if attempt == 0 else batch.write_among_others(lanes))
        except _AGAIN:
            if attempt == _TRIES - 1:
                raise
    return set()


async def lock(connection: Any, keys: Sequence[archive.Key]) -> Locked:
    """Lock the rows that are there, in the order of keys."""
    if not keys:
        return {}
    found = await connection.fetch(SQL["lock_rows"], *zip(*keys, strict=True))
    return {place - 1: (sequence, state) for place, sequence, state in found}


async def lock_or_make(connection: Any, keys: Sequence[archive.Key]) -> Locked:
    """Lock the rows, then make those that are missing; in this order nobody waits in a circle."""
    known = await lock(connection, keys)
    missing = [place for place in range(len(keys)) if place not in known]
    if missing:
        absent = [keys[place] for place in missing]
        await connection.execute(SQL["make_rows"], *zip(*absent, strict=True))
        known |= {missing[place]: row for place, row in (await lock(connection, absent)).items()}
    return known


class Batch:
    """The writes of one transaction, made by everybody in the same order."""

    def __init__(self, connection: Any, keep: timedelta) -> None:
        self._connection = connection
        self._keep = keep
        self._inserted: list[rows.Row] = []
        self._replaced: list[rows.Row] = []
        self._advanced: list[rows.Head] = []
        self._bodies: list[tuple[str, str, bytes]] = []
        self._objects: list[tuple[str, str, str]] = []
        self._messages: set[tuple[str, str, str]] = set()
        self._expiries: list[tuple[str, str, datetime]] = []
        self._stretches: Counter[int] = Counter()
        self._counts = counting.Counts()
        self._late: list[tuple[archive.Key, Email]] = []

    async def write_alone(self, lanes: list[rows.Lane]) -> set[int]:
        """Write a batch; raises asyncpg.UniqueViolationError when another writer is at the same emails."""
        known = await lock(self._connection, [(lane.workspace, lane.email_id) for lane in lanes])
        archived = await self._archived(lanes, known)
        fresh: list[record.Record] = []
        for place, lane in enumerate(lanes):
            items = [item for item in lane.records if item.sequence not in archived]
            if items:
                fresh += items
                self._fold(lane, items, known[place][1] if place in known else None)
        await self._count_late()
        await self._copy("emails", rows.Row._fields, self._inserted)
        await self._copy("events", rows.ARCHIVED, rows.archived(fresh))
        await self._copy("contents", ("workspace", "email_id", "body"), self._bodies)
        await self._copy("objects", rows.OBJECT, self._objects)
        await self._finish()
        return {item.sequence for item in fresh}

    async def write_among_others(self, lanes: list[rows.Lane]) -> set[int]:
        """Write a batch, waiting for other writers at every row."""
        keys = [(lane.workspace, lane.email_id) for lane in lanes]
        known = await lock_or_make(self._connection, keys)
        events = rows.archived(item for lane in lanes for item in lane.records)
        found = await self._connection.fetch(SQL["archive"], *zip(*events, strict=True))
        new = {sequence for (sequence,) in found}
        # Rows made just now may have an archive, if they were lost: what is folded again changes nothing.
        history = await archive.read(self._connection, keys)
        for place, lane in enumerate(lanes):
            fresh = [item for item in lane.records if item.sequence in new]
            earlier = [item for item in history.records[keys[place]] if item.sequence not in new]
            state = fold.fold(earlier, rows.readable_state(known[place][1]))
            before = counting.of_state(state)
            fold.fold(fresh, state)
            self._count(lane, before, state, fresh if before else [*earlier, *fresh])
            self._note(lane, fresh, state)
            self._replaced.append(rows.row(lane.workspace, lane.email_id, state))
        await self._run("insert_contents", self._bodies)
        await self._run("insert_objects", self._objects)
        await self._finish()
        return new

    async def _archived(self, lanes: list[rows.Lane], known: Locked) -> set[int]:
        """Return which records are archived already; only one not beyond its row's sequence can be."""
        asked = [
            item
            for place, (sequence, _) in known.items()
            for item in lanes[place].records
            if item.sequence <= sequence
        ]
        if not asked:
            return set()
        found = await self._connection.fetch(
            SQL["find_archived"],
            [item.workspace for item in asked],
            [item.email_id for item in asked],
            [rows.clean(item.event_id) for item in asked],
        )
        return {asked[place - 1].sequence for (place,) in found}

    def _fold(self, lane: rows.Lane, fresh: list[record.Record], known: bytes | None) -> None:
        state = fold.State() if known is None else rows.decode_state(known)
        was_final, before = status.is_final(state), counting.of_state(state)
        fold.fold(fresh, state)
        self._count(lane, before, state, fresh)
        if known is not None and not before and state.email is not None:
            self._late.append(((lane.workspace, lane.email_id), state.email))
        requests = self._note(lane, fresh, state, was_final)
        if known is None:
            self._inserted.append(rows.row(lane.workspace, lane.email_id, state))
        elif requests:
            self._replaced.append(rows.row(lane.workspace, lane.email_id, state))
        else:
            self._advanced.append(rows.head(lane.workspace, lane.email_id, state))

    def _count(
        self, lane: rows.Lane, before: list[counting.Fact], state: fold.State, fresh: list[record.Record]
    ) -> None:
        after = counting.of_state(state)
        if before:
            gone = [fact for fact in before if fact not in after]
            self._counts.note(lane.workspace, state.email, gone, -1)
            after = [fact for fact in after if fact not in before]
        self._counts.note(lane.workspace, state.email, after)
        self._counts.note(lane.workspace, state.email, counting.of_events(fresh))

    async def _count_late(self) -> None:
        """Count what was archived before its email's request: nobody knew yet of which account it is."""
        if self._late:
            history = await archive.read(self._connection, [key for key, _ in self._late])
            for key, sent in self._late:
                self._counts.note(key[0], sent, counting.of_events(history.records[key]))

    def _note(
        self, lane: rows.Lane, fresh: list[record.Record], state: fold.State, was_final: bool = False
    ) -> bool:
        """Note what follows beside the row: content, its end, and where in the log the email began."""
        requests = [item for item in fresh if isinstance(item.event, submission.Requested)]
        for item in requests:
            self._stretches[item.sequence // STRETCH] += 1
        body = rows.body(requests)
        if body is not None:
            self._bodies.append((lane.workspace, lane.email_id, body))
        self._objects += [(lane.workspace, lane.email_id, key) for key in rows.objects(requests)]
        messages = rows.messages(fresh)
        self._messages |= {(lane.workspace, lane.email_id, key) for key in messages}
        expires_at = rows.expiry(state, self._keep)
        if expires_at is not None and fresh and (requests or not was_final):
            self._expiries.append((lane.workspace, lane.email_id, expires_at))
        if expires_at is not None and messages:  # what comes late is kept as long
            last = max(messages.values()) + self._keep
            self._expiries.append((lane.workspace, lane.email_id, max(expires_at, last)))
        return bool(requests)

    async def _finish(self) -> None:
        if self._replaced:
            await self._connection.executemany(SQL["replace_row"], self._replaced)
        await self._run("advance_rows", self._advanced)
        await self._copy("expiries", rows.EXPIRY, self._expiries)
        await self._run("insert_objects", sorted(self._messages))
        await self._run("count_emails", sorted(self._stretches.items()))
        # Last, for everybody writes these rows: they are locked as short as can be.
        await counts.add(self._connection, self._counts)

    async def _run(self, name: str, values: Sequence[Any]) -> None:
        if values:
            await self._connection.execute(SQL[name], *zip(*values, strict=True))

    async def _copy(self, table: str, columns: Sequence[str], values: Sequence[Any]) -> None:
        if values:
            await self._connection.copy_records_to_table(
                table, schema_name="projector", columns=columns, records=values
            )
