"""Trimming the log: the oldest records go, slice by slice, as far as `decisions` allows.

It replaces an age limit, under which a stopped service or a dead database would cost records. Several replicas
may do it at once: each purges only what may go.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import structlog
from nats.aio.client import Client

from services.projector import decisions, metrics, reach, store
from shared.runtime import postgres, topology

logger = structlog.get_logger(__name__)
SQL: Final = postgres.statements(Path(__file__).with_name("trimming.sql"))
SLICE: Final = 20_000  # records; a purge stalls publishing by about 0.6 us for each
_PAUSE: Final = 0.05


class Trimmer:
    """Trims the log; keep one for the life of the process, for it remembers the log's end from time to time."""

    def __init__(self, pool: asyncpg.Pool, client: Client, *, hot: timedelta, most: int) -> None:
        self._pool = pool
        self._client = client
        self._hot = hot
        self._most = most
        self._last = 0

    async def trim(self) -> int:
        """Trim what may go and return how many records went. Raises: nats.errors.Error."""
        size = await reach.log_size(self._client)
        # The end of the log as of the last time: a consumer's count of what is pending may be a moment late.
        seen, self._last = self._last, size.last
        readers = [await reach.reader(self._client, durable.name) for durable in topology.CONSUMERS]
        read = decisions.read_by_all(readers, seen)
        begins = await self._window_begins()
        oldest = size.first
        while (keep := decisions.next_slice(size.first, read, begins, size.full, SLICE)) is not None:
            await self._client.jetstream().purge_stream(topology.LOG, seq=keep)
            size = await reach.log_size(self._client)
            if size.first < keep:
                break
            await asyncio.sleep(_PAUSE)
        self._note(size, size.first - oldest)
        return size.first - oldest

    def _note(self, size: reach.LogSize, trimmed: int) -> None:
        metrics.LOG_RECORDS.set(size.records)
        metrics.LOG_BYTES.set(size.bytes)
        metrics.LOG_FULL.set(size.full)
        if trimmed:
            metrics.TRIMMED.inc(trimmed)
            logger.info("log_trimmed", records=trimmed, first=size.first)

    async def _window_begins(self) -> int:
        """Return where the hot window begins: without the database nothing is known to be outside."""
        try:
            rows = await self._pool.fetch(SQL["stretches"])
        except (asyncpg.PostgresError, *postgres.UNAVAILABLE) as error:
            logger.warning("hot_window_unknown", error=repr(error))
            return 0
        stretches = [
            decisions.Stretch(stretch * store.STRETCH, emails, seen_at) for stretch, emails, seen_at in rows
        ]
        return decisions.window_begins(stretches, datetime.now(UTC), self._hot, self._most)

    async def forget(self) -> None:
        """Drop what is known of stretches that are no longer in the log. Raises: what asyncpg raises."""
        size = await reach.log_size(self._client)
        await self._pool.execute(SQL["forget"], size.first // store.STRETCH)
