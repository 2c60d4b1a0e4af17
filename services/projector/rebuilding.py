"""Making the read model again, in place, from the archive and the log, while live traffic goes on.

First, what the log holds and the archive does not is archived, exactly as if it had just come. Then each email is
locked, folded from its archived events and written where it differs. Nothing live is lost by that: an event is
archived and folded in one transaction that holds the same lock, so what is not in the archive under our lock is
folded by whoever archives it, after us, onto what we wrote. So each row is again the fold of its archive. At last
the statistics are counted again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from services.projector import archive, counts, handlers, reach, reading, rows, store, suppressions
from shared.events import fold, record
from shared.runtime import log as log_
from shared.runtime import postgres

SQL: Final = postgres.statements(Path(__file__).with_name("rebuilding.sql"))
PAGE: Final = 1000  # emails
_NIL: Final = "00000000-0000-0000-0000-000000000000"
Progress = Callable[[int, int], None]


class Report(msgspec.Struct):
    """What a rebuild found.

    `incomplete` emails have an archive that lacks their request, which the row knows, or that holds events newer
    software wrote: their rows are left alone.
    `recounted` rows of the statistics were wrong.
    `unreadable` records of the log are of no known type or were refused before: they are in the dead letters.
    """

    events: int = 0
    emails: int = 0
    rearchived: int = 0
    rewritten: int = 0
    incomplete: int = 0
    unreadable: int = 0
    suppressions: int = 0
    recounted: int = 0


async def rebuild(
    pool: asyncpg.Pool,
    log: log_.Log,
    *,
    workspace: str | None = None,
    content_days: float = store.CONTENT_DAYS,
    on_progress: Progress | None = None,
) -> Report:
    """Rebuild all rows, or one workspace's; `on_progress` is told (done, total) in events.

    May be broken off and repeated at any time. Raises: what asyncpg raises; BrokerUnavailable.
    """
    size = await reach.log_size(log.client)
    archived = await pool.fetchval(SQL["count_events"], workspace, timeout=600)
    work = _Rebuild(pool, timedelta(days=content_days), size.records + archived, on_progress)
    subject = f"emails.{workspace}.>" if workspace else "emails.>"
    async for page in reading.pages(log, subject, size.last):
        await work.rearchive(page)
    async for keys in _emails(pool, workspace):
        middle = len(keys) // 2
        await asyncio.gather(*(work.refold(half) for half in (keys[:middle], keys[middle:]) if half))
    # After the rows: what live traffic counts from here on, it counts from right ones.
    work.report.recounted = await counts.recount(pool, workspace)
    work.report.suppressions = await suppressions.rebuild(pool, log, workspace)
    return work.report


async def _emails(pool: asyncpg.Pool, workspace: str | None) -> AsyncIterator[list[archive.Key]]:
    """Yield the keys of all emails that have an archive, in order."""
    last = ("", _NIL)
    while True:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(SQL["walk"])
            found = await connection.fetch(SQL["next_emails"], last[1], last[0], workspace, 2 * PAGE)
        keys = [(name, str(email_id)) for email_id, name in found]
        if not keys:
            return
        yield keys
        last = keys[-1]


class _Rebuild:
    def __init__(self, pool: asyncpg.Pool, keep: timedelta, total: int, on_progress: Progress | None) -> None:
        self._pool = pool
        self._keep = keep
        self._total = total
        self._done = 0
        self._on_progress = on_progress
        self.report = Report()

    def _advance(self, events: int) -> None:
        self._done += events
        self._total = max(self._total, self._done)
        if self._on_progress:
            self._on_progress(self._done, self._total)

    async def rearchive(self, page: list[reading.Raw]) -> None:
        """Archive what of a page of the log is not in the archive."""
        missing: list[record.Record] = []
        for raw in await self._missing(page):
            try:
                missing.append(record.decode(raw.subject, raw.headers, raw.data, raw.sequence))
            except (record.UnknownEvent, record.Undecodable):
                self.report.unreadable += 1
        if missing:
            self.report.rearchived += await self._project(missing)
        self._advance(len(page))

    async def _missing(self, page: list[reading.Raw]) -> list[reading.Raw]:
        asked: list[tuple[reading.Raw, str, str, str]] = []
        for raw in page:
            _, workspace, email_id, *_ = raw.subject.split(".")
            if "ce-id" in raw.headers and rows.is_email_id(email_id):
                asked.append((raw, workspace, email_id, rows.clean(raw.headers["ce-id"])))
        if not asked:
            return []
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(store.SQL["plan"])
            _, *columns = zip(*asked, strict=True)
            found = await connection.fetch(store.SQL["find_archived"], *columns)
        archived = {place - 1 for (place,) in found}
        return [raw for place, (raw, *_) in enumerate(asked) if place not in archived]

    async def _project(self, records: list[record.Record]) -> int:
        days = self._keep / timedelta(days=1)
        try:
            return len(await store.project(self._pool, records, content_days=days))
        except handlers.REFUSED:
            if len(records) == 1:
                self.report.unreadable += 1
                return 0
        middle = len(records) // 2
        return await self._project(records[:middle]) + await self._project(records[middle:])

    async def refold(self, keys: list[archive.Key]) -> None:
        """Fold some emails from the archive, and write the rows that differ."""
        try:
            await self._refold(keys)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            await self._refold(keys)

    async def _refold(self, keys: list[archive.Key]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(store.SQL["plan"])
            await store.lock_or_make(connection, keys)
            found = await connection.fetch(SQL["read_rows"], *zip(*keys, strict=True))
            history = await archive.read(connection, keys)
            changed: list[rows.Row] = []
            ends = []
            for old in found:
                key: archive.Key = keys[old["place"] - 1]
                state = fold.fold(history.records[key])
                new = rows.row(key[0], key[1], state)
                lost_request = new.created_at is None and old["created_at"] is not None
                if lost_request or key in history.unreadable:
                    self.report.incomplete += 1
                elif new[2:] != tuple(old)[1:]:
                    changed.append(new)
                    if (expires_at := rows.expiry(state, self._keep)) is not None:
                        ends.append((*key, expires_at))
            await self._write(connection, changed, ends)
        events = sum(len(records) for records in history.records.values())
        self.report.emails += len(keys)
        self.report.events += events
        self.report.rewritten += len(changed)
        self._advance(events)

    async def _write(self, connection: Any, changed: list[rows.Row], ends: list[Any]) -> None:
        if changed:
            await connection.executemany(store.SQL["replace_row"], changed)
        if ends:
            await connection.copy_records_to_table(
                "expiries", schema_name="projector", columns=rows.EXPIRY, records=ends
            )
