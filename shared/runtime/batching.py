"""Batches of one request: many records in one atomic broker batch of their own, all of them or none.

Never split and never mixed with other records; every record is the first of its email (guard 0), and no
email comes twice, for inside one atomic batch guards see the log as it was before the batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

import nats
import structlog

from shared.events import record
from shared.runtime import appending, metrics
from shared.runtime import log as log_
from shared.runtime.appending import Conflict, Entry, LogFull, Refused, Unconfirmed

logger = structlog.get_logger(__name__)
MOST: Final = 1000
MOST_BYTES: Final = 32 * 1024 * 1024
OPEN_AT_ONCE: Final = 4
TOO_MANY_OPEN: Final = 10210
INCOMPLETE: Final = 10176  # a part was lost on the way, with a connection for example: nothing is stored
WAIT_FOR_OTHERS: Final = 0.05
RETRY_AFTER: Final = 0.25
_SLICE: Final = 64

Hold: TypeAlias = Callable[[int, float], AbstractAsyncContextManager[None]]


class TooLarge(Exception):
    """The records together are larger than a batch may be; nothing was appended."""


class Batches:
    """Appends batches: a few at a time, for the broker keeps no more than 50 open for all processes.

    `hold` keeps room for so many bytes in the publisher's buffer, waiting for it up to so many seconds.
    """

    def __init__(self, log: log_.Log, hold: Hold) -> None:
        self._log = log
        self._hold = hold
        self._open = asyncio.Semaphore(OPEN_AT_ONCE)

    async def append(self, records: Sequence[record.Record], within: float) -> int:
        """Append all records and return the first one's sequence; the others follow it without a gap.

        Raises: Conflict (none is stored, or all of them by somebody else), Unconfirmed (also LogFull; all or
        none may be stored) after `within` seconds, Refused, TooLarge.
        """
        if not 2 <= len(records) <= MOST or len({item.email_id for item in records}) < len(records):
            raise ValueError(f"a batch has 2 to {MOST} records, each of another email")
        attempt = _Attempt(self._log)
        try:
            async with asyncio.timeout(within), self._open:
                entries, size = await _encoded(records, within)
                async with self._hold(size, within):
                    return await attempt.until_it_is_known(entries)
        except TimeoutError:
            raise attempt.problem or Unconfirmed("the broker did not answer to a batch in time") from None


class _Attempt:
    """One batch on its way: repeated while nobody knows what became of it."""

    def __init__(self, log: log_.Log) -> None:
        self._log = log
        self._may_be_there = False
        self.problem: Unconfirmed | None = None

    async def until_it_is_known(self, entries: list[Entry]) -> int:
        while True:
            wait = RETRY_AFTER
            try:
                ack = await self._send(entries)
                if ack.error is None:
                    metrics.APPENDS.inc(len(entries))
                    return ack.seq - len(entries) + 1
                if ack.error.err_code in (TOO_MANY_OPEN, INCOMPLETE):
                    wait = WAIT_FOR_OTHERS
                    self.problem = Unconfirmed(f"the broker took no batch: {ack.error.description}")
                else:
                    return await self._refused(entries[0], ack.error)
            except (Unconfirmed, log_.BrokerUnavailable, nats.errors.Error, OSError) as error:
                self.problem = error if isinstance(error, Unconfirmed) else Unconfirmed(repr(error))
                logger.debug("batch_repeated", records=len(entries), problem=str(self.problem))
            metrics.APPEND_RETRIES.inc()
            await asyncio.sleep(wait)

    async def _send(self, entries: list[Entry]) -> log_.PubAck:
        if not self._log.client.is_connected:
            raise Unconfirmed("the broker is not connected")
        before, self._may_be_there = self._may_be_there, True
        ack = await appending.commit(self._log, entries)
        self._may_be_there = before  # this one has its answer; what an earlier one did stays unknown
        return ack

    async def _refused(self, first: Entry, why: log_.PubAck.Error) -> int:
        """Return the first sequence if it was ourselves who came first; all of a batch is there, or none."""
        if why.err_code in appending.WRONG_LAST_SEQUENCE:
            if self._may_be_there:
                for item in await self._log.history(*first.email):
                    if item.event_id == first.record.event_id:
                        return item.sequence
            metrics.CONFLICTS.inc()
            raise Conflict(f"{first.subject} or another of its batch: {why.description}")
        if why.err_code in appending.NO_ROOM or why.code >= 500:
            raise LogFull(why.description)
        raise Refused(f"{first.subject} or another of its batch: {why.description}")


async def _encoded(records: Sequence[record.Record], within: float) -> tuple[list[Entry], int]:
    """Return the records ready to be written and their size, letting others work in between."""
    entries: list[Entry] = []
    size = 0
    for number, item in enumerate(records, 1):
        entry = Entry(item, 0, within)
        size += entry.size
        if size > MOST_BYTES:
            raise TooLarge(f"the records of a batch may have at most {MOST_BYTES} bytes together")
        entries.append(entry)
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return entries, size
