"""The one publisher: appends records to the log, coalesced into atomic batches, each with its guard.

One flush is in flight and what arrives meanwhile gathers. Two records of one email never share a
flush: inside an atomic batch guards see the log as it was before the batch, so both would pass.
Every future ends: with a sequence, a conflict, or "unconfirmed" when its time is over.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import nats
import structlog

from shared.events import record
from shared.runtime import appending, batching, metrics
from shared.runtime import log as log_
from shared.runtime.appending import Conflict, Entry, LogFull, Refused, Unconfirmed
from shared.runtime.batching import TooLarge

__all__ = ["Conflict", "LogFull", "Publisher", "Refused", "TooLarge", "Unconfirmed"]

logger = structlog.get_logger(__name__)
BATCH_FROM: Final = 16
BATCH_LIMIT: Final = 512
BATCH_BYTES: Final = 16 * 1024 * 1024
BUFFER_BYTES: Final = 64 * 1024 * 1024
RETRY_AFTER: Final = 0.25
PROBLEM_FADES: Final = 5.0
SWEEP_EVERY: Final = 0.1


class Publisher:
    """Appends to the log. `linger` seconds are waited for company, and only under load."""

    def __init__(self, log: log_.Log, *, linger: float = 0.003) -> None:
        self._log = log
        self._linger = linger
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._busy = False
        self._waiting: set[Entry] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._problem: tuple[float, str] | None = None
        self._full = False
        self._batches = batching.Batches(log, self._hold)

    @property
    def problem(self) -> str | None:
        """Return why the last flush failed, unless that is so long ago that nothing is known any more."""
        if self._problem is None or asyncio.get_running_loop().time() - self._problem[0] > PROBLEM_FADES:
            return None
        return self._problem[1]

    @property
    def full(self) -> bool:
        """Say whether the broker had no room for the last flush; fades like `problem`, so that it is tried again."""
        return self._full and self.problem is not None

    def start(self) -> None:
        """Begin flushing; call once in a running loop."""
        self._task = asyncio.create_task(self._flush_for_ever(), name="publisher")

    async def stop(self) -> None:
        """Flush what is queued, then end. Call after the last `append`."""
        await asyncio.gather(*(entry.done for entry in self._waiting), return_exceptions=True)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def append(self, item: record.Record, *, guard: int | None = None, within: float = 30.0) -> int:
        """Append one record and return its sequence once the broker has it on disk.

        `guard` is the last sequence the writer has seen of this email (0: none). Repeats itself when
        an answer is lost; a guarded record that meets itself counts as appended.

        Raises: Conflict, Unconfirmed (also LogFull) after `within` seconds, Refused.
        """
        entry = Entry(item, guard, within)
        if self._bytes and self._bytes + entry.size > BUFFER_BYTES:
            await self._make_room(entry.size, within)
        self._bytes += entry.size
        self._waiting.add(entry)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._end_what_is_late)
        self._queue.append(entry)
        self._wake.set()
        try:
            return await entry.done
        finally:
            self._waiting.discard(entry)
            self._bytes -= entry.size
            self._room.set()

    async def append_all(self, records: Sequence[record.Record], *, within: float = 30.0) -> int:
        """Append up to 1000 records, each the first of its email, as one: all of them or none.

        Returns the first one's sequence; the others follow without a gap. Raises: as `append`, and TooLarge.
        """
        if len(records) == 1:
            return await self.append(records[0], guard=0, within=within)
        try:
            return await self._batches.append(records, within)
        except LogFull as error:  # whoever asks `full` learns it from a batch, too
            self._problem, self._full = (asyncio.get_running_loop().time(), str(error)), True
            raise

    @asynccontextmanager
    async def _hold(self, size: int, within: float) -> AsyncIterator[None]:
        if self._bytes and self._bytes + size > BUFFER_BYTES:
            await self._make_room(size, within)
        self._bytes += size
        try:
            yield
        finally:
            self._bytes -= size
            self._room.set()

    async def _make_room(self, size: int, within: float) -> None:
        """Wait until the buffer has room: what the log cannot take must slow its writers down."""
        try:
            async with asyncio.timeout(within):
                while self._bytes and self._bytes + size > BUFFER_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            raise Unconfirmed("the broker is too slow: the buffer of unconfirmed records is full") from None

    def _end_what_is_late(self) -> None:
        """End every future whose time is over: one sweep is cheaper than a timer for each record."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for entry in [entry for entry in self._waiting if entry.deadline < now]:
            entry.fail(Unconfirmed(entry.last_error or "the broker did not answer in time"))
        # An idle process is not woken for nothing.
        self._sweep = loop.call_later(SWEEP_EVERY, self._end_what_is_late) if self._waiting else None

    async def _flush_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            if self._busy and len(self._queue) < BATCH_LIMIT:
                await asyncio.sleep(self._linger)
            flush = self._take()
            if not self._queue:
                self._wake.clear()
            if flush:
                self._busy = len(flush) >= BATCH_FROM
                await self._flush(flush)

    def _take(self) -> list[Entry]:
        """Take the next flush: in order, one record per email, the rest stays at the front."""
        flush: list[Entry] = []
        left: list[Entry] = []
        emails = set()
        size = 0
        while self._queue and len(flush) < BATCH_LIMIT and size < BATCH_BYTES:
            entry = self._queue.popleft()
            if entry.done.done():
                continue
            if entry.email in emails:
                left.append(entry)
                continue
            emails.add(entry.email)
            size += entry.size
            flush.append(entry)
        self._queue.extendleft(reversed(left))
        return flush

    async def _flush(self, flush: list[Entry]) -> None:
        try:
            problem = await self._send(flush)
        except (Unconfirmed, nats.errors.Error, OSError) as error:
            problem = error
        except Exception as error:  # a fault of ours or of the broker's must not end the flushing for good
            logger.exception("flush_failed", records=len(flush))
            problem = error
            for entry in flush:
                entry.fail(Unconfirmed(f"the flush failed: {error!r}"))
        self._problem = None
        self._full = isinstance(problem, LogFull)
        if problem is not None:
            why = str(problem) or repr(problem)
            self._problem = (asyncio.get_running_loop().time(), why)
            await self._try_again(flush, why)

    async def _send(self, flush: list[Entry]) -> Exception | None:
        if not self._log.client.is_connected:
            return Unconfirmed("the broker is not connected")
        batched = len(flush) >= BATCH_FROM and self._log.replicas == 1
        if batched and await appending.as_batch(self._log, flush):
            return None
        return await appending.singly(self._log, flush)

    async def _try_again(self, flush: list[Entry], why: str) -> None:
        """Put back what has no verdict and give the broker a moment."""
        metrics.APPEND_RETRIES.inc()
        logger.debug("flush_repeated", records=len(flush), problem=why)
        for entry in flush:
            entry.last_error = why
        self._queue.extendleft(reversed([entry for entry in flush if not entry.done.done()]))
        self._wake.set()
        await asyncio.sleep(RETRY_AFTER)
