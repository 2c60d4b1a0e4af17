"""The one publisher: appends records to the log, coalesced into atomic batches, each with its guard.

One flush is in flight and what arrives meanwhile gathers. Two records of one email never share a
flush: inside an atomic batch guards see the log as it was before the batch, so both would pass.
Every future ends: with a sequence, a conflict, or "unconfirmed" when its time is over.
"""

import asyncio
import uuid
from collections import deque
from typing import Final

import nats
import structlog
from nats.aio.msg import Msg

from shared.events import record
from shared.runtime import log as log_
from shared.runtime import metrics

logger = structlog.get_logger(__name__)

BATCH_FROM: Final = 16
BATCH_LIMIT: Final = 512
BATCH_BYTES: Final = 16 * 1024 * 1024
BUFFER_BYTES: Final = 64 * 1024 * 1024
ANSWER_WITHIN: Final = 5.0
RETRY_AFTER: Final = 0.25
WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
STREAM_FULL: Final = frozenset({10077, 10023, 10047, 10028})


class Conflict(Exception):
    """Somebody else wrote to this email first: read its records, fold, decide again."""


class Unconfirmed(Exception):
    """The broker did not confirm in time: the record may or may not be in the log."""


class LogFull(Unconfirmed):
    """The broker has no room for the record (or its disk is full)."""


class Refused(Exception):
    """The broker refused the record for a reason that no repeat will change."""


class Entry:
    """One record on its way into the log, and the future its writer waits on."""

    __slots__ = ("deadline", "done", "email", "guard", "head", "last_error", "payload", "record", "subject", "tries")

    def __init__(self, item: record.Record, guard: int | None, within: float) -> None:
        loop = asyncio.get_running_loop()
        self.record = item
        self.email = (item.workspace, item.email_id)
        self.subject = record.nats_subject(item)
        self.payload = record.payload(item.event)
        self.head = record.headers(item)
        self.guard = guard
        if guard is not None:
            self.head["Nats-Expected-Last-Subject-Sequence"] = str(guard)
            self.head["Nats-Expected-Last-Subject-Sequence-Subject"] = record.history_subject(*self.email)
        self.deadline = loop.time() + within
        self.done: asyncio.Future[int] = loop.create_future()
        self.tries = 0
        self.last_error: str | None = None


class Publisher:
    """Appends to the log. `linger` seconds are waited for company, and only under load."""

    def __init__(self, log: log_.Log, *, linger: float = 0.003) -> None:
        self._log = log
        self._linger = linger
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._busy = False
        self._waiting: set[Entry] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.problem: str | None = None

    def start(self) -> None:
        """Begin flushing; call once in a running loop."""
        self._tasks = [
            asyncio.create_task(self._flush_for_ever(), name="publisher"),
            asyncio.create_task(self._end_what_is_late(), name="publisher-deadlines"),
        ]

    async def stop(self) -> None:
        """Flush what is queued, then end. Call after the last `append`."""
        while self._waiting and self._tasks and not self._tasks[0].done():
            await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for entry in self._waiting:
            _fail(entry, Unconfirmed("the process is stopping"))

    async def append(self, item: record.Record, *, guard: int | None = None, within: float = 30.0) -> int:
        """Append one record and return its sequence once the broker has it on disk.

        `guard` is the last sequence the writer has seen of this email (0: none). Repeats itself when
        an answer is lost; a guarded record that meets itself counts as appended.

        Raises: Conflict, Unconfirmed (also LogFull) after `within` seconds, Refused.
        """
        entry = Entry(item, guard, within)
        size = len(entry.payload) + 512
        await self._make_room(size, within)
        self._bytes += size
        self._waiting.add(entry)
        self._queue.append(entry)
        self._wake.set()
        try:
            return await entry.done
        finally:
            self._waiting.discard(entry)
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

    async def _end_what_is_late(self) -> None:
        """End every future whose time is over: one sweep is cheaper than a timer for each record."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.1)
            now = loop.time()
            for entry in [entry for entry in self._waiting if entry.deadline < now]:
                _fail(entry, Unconfirmed(entry.last_error or "the broker did not answer in time"))

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
            size += len(entry.payload)
            flush.append(entry)
        self._queue.extendleft(reversed(left))
        return flush

    async def _flush(self, flush: list[Entry]) -> None:
        try:
            if not self._log.client.is_connected:
                raise Unconfirmed("the broker is not connected")
            if len(flush) >= BATCH_FROM and self._log.replicas == 1 and await self._flush_as_batch(flush):
                self.problem = None
                return
            await self._flush_singly(flush)
        except (Unconfirmed, nats.errors.Error, OSError) as error:
            await self._try_again(flush, error)

    async def _try_again(self, flush: list[Entry], error: Exception) -> None:
        """Put back what is still waiting and give the broker a moment."""
        self.problem = str(error) or repr(error)
        metrics.APPEND_RETRIES.inc()
        for entry in flush:
            entry.last_error = self.problem
        self._queue.extendleft(reversed([entry for entry in flush if not entry.done.done()]))
        self._wake.set()
        await asyncio.sleep(RETRY_AFTER)

    async def _flush_as_batch(self, flush: list[Entry]) -> bool:
        """Append all in one atomic batch; False when the broker refused it because of one record."""
        batch_id = uuid.uuid4().hex
        last = len(flush)
        answers: list[asyncio.Future[bytes]] = []
        replies: list[str] = []
        for number, entry in enumerate(flush, 1):
            head = {**entry.head, "Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
            reply = ""
            if number in (1, last):
                answer, reply = self._expect()
                answers.append(answer)
                replies.append(reply)
            if number == last:
                head["Nats-Batch-Commit"] = "1"
            entry.tries += 1
            await self._log.client.publish(entry.subject, entry.payload, reply=reply, headers=head)
        ack = await self._batch_answer(answers, replies)
        if ack.error is None:
            metrics.APPENDS.inc(last)
            for offset, entry in enumerate(flush):
                _settle(entry, ack.seq - last + 1 + offset)
            return True
        if ack.error.err_code in STREAM_FULL:
            raise LogFull(ack.error.description)
        logger.debug("batch_refused", error=ack.error.description, records=last)
        for entry in flush:  # a refused batch stored nothing: what follows is a first try again
            entry.tries -= 1
        return False

    async def _batch_answer(self, answers: list["asyncio.Future[bytes]"], replies: list[str]) -> log_.PubAck:
        """Return the commit's answer, or the first record's when that one was refused already."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                opened = await answers[0]
                if opened:
                    return log_.decode_ack(opened)
                return log_.decode_ack(await answers[1])
        except TimeoutError:
            raise Unconfirmed("the broker did not answer to a batch in time") from None
        finally:
            for reply in replies:
                self._log.inbox.forget(reply)

    def _expect(self) -> tuple["asyncio.Future[bytes]", str]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def on_answer(message: Msg) -> None:
            if not answer.done():
                if (message.headers or {}).get("Status") == "503":
                    answer.set_exception(Unconfirmed("no broker serves the log right now"))
                else:
                    answer.set_result(message.data)

        return answer, self._log.inbox.expect(on_answer)

    async def _flush_singly(self, flush: list[Entry]) -> None:
        """Append each on its own, all in one window; every record gets its own verdict."""
        results = await asyncio.gather(*(self._publish(entry) for entry in flush), return_exceptions=True)
        waiting = [entry for entry in flush if not entry.done.done()]
        errors = [error for error in results if isinstance(error, BaseException)]
        for error in errors:
            if not isinstance(error, Unconfirmed | nats.errors.Error | OSError):
                raise error
        if waiting and errors:
            await self._try_again(waiting, errors[0] if isinstance(errors[0], Exception) else Unconfirmed())
        elif not errors:
            self.problem = None

    async def _publish(self, entry: Entry) -> None:
        answer, reply = self._expect()
        entry.tries += 1
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await self._log.client.publish(entry.subject, entry.payload, reply=reply, headers=entry.head)
                ack = log_.decode_ack(await answer)
        except TimeoutError:
            raise Unconfirmed("the broker did not answer in time") from None
        finally:
            self._log.inbox.forget(reply)
        if ack.error is None:
            metrics.APPENDS.inc()
            _settle(entry, ack.seq)
        elif ack.error.err_code in WRONG_LAST_SEQUENCE:
            await self._conflict(entry, ack.error.description)
        elif ack.error.err_code in STREAM_FULL or ack.error.code >= 500:
            raise LogFull(ack.error.description)
        else:
            _fail(entry, Refused(f"{entry.subject}: {ack.error.description}"))

    async def _conflict(self, entry: Entry, why: str) -> None:
        """Tell a lost race from a lost answer: a repeated record may have met itself."""
        if entry.tries > 1:
            try:
                for item in await self._log.history(*entry.email):
                    if item.event_id == entry.record.event_id:
                        _settle(entry, item.sequence)
                        return
            except log_.BrokerUnavailable as error:
                raise Unconfirmed(str(error)) from error
        metrics.CONFLICTS.inc()
        _fail(entry, Conflict(f"{entry.subject}: {why}"))


def _settle(entry: Entry, sequence: int) -> None:
    if not entry.done.done():
        entry.done.set_result(sequence)


def _fail(entry: Entry, error: Exception) -> None:
    if not entry.done.done():
        entry.done.set_exception(error)
