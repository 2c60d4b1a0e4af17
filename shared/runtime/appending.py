"""How records reach the broker: singly in one window, or as one atomic batch; each gets its own verdict.

Guards are checked at a batch's commit against the log before the batch, and one failed guard refuses
the whole batch; then every record is sent again on its own.
"""

import asyncio
import uuid
from typing import Final

import nats
import structlog
from nats.aio.msg import Msg

from shared.events import record
from shared.runtime import log as log_
from shared.runtime import metrics

logger = structlog.get_logger(__name__)
ANSWER_WITHIN: Final = 5.0
SLICE: Final = 256  # records written in one piece: others have their turn between two
WRONG_LAST_SEQUENCE: Final = frozenset({10071, 10164})
NO_ROOM: Final = frozenset({10077, 10023, 10047, 10028})


class Conflict(Exception):
    """Somebody else wrote to this email first: read its records, fold, decide again."""


class Unconfirmed(Exception):
    """The broker did not confirm in time: the record may or may not be in the log."""


class LogFull(Unconfirmed):
    """The broker has no room for the record (or its disk is full)."""


class Refused(Exception):
    """The broker refused the record for a reason that no repeat will change."""


class Entry:
    """One record on its way into the log, and the future its writer waits on.

    `tries` counts the publishes that may have reached the log: from the second on, a conflict may be
    with itself.
    """

    __slots__ = (
        "_head",
        "deadline",
        "done",
        "email",
        "last_error",
        "payload",
        "record",
        "size",
        "subject",
        "tries",
    )

    def __init__(self, item: record.Record, guard: int | None, within: float) -> None:
        loop = asyncio.get_running_loop()
        self.record = item
        self.email = (item.workspace, item.email_id)
        self.subject = record.nats_subject(item)
        self.payload = record.payload(item.event)
        self._head = record.head(item)
        if guard is not None:
            self._head += (
                f"Nats-Expected-Last-Subject-Sequence: {guard}\r\n"
                f"Nats-Expected-Last-Subject-Sequence-Subject: {record.history_subject(*self.email)}\r\n"
            )
        self.size = len(self.payload) + len(self._head) + 128
        self.deadline = loop.time() + within
        self.done: asyncio.Future[int] = loop.create_future()
        self.tries = 0
        self.last_error: str | None = None

    def command(self, reply: str, extra: str = "") -> bytes:
        """Return the HPUB protocol line with headers and payload, ready to be written."""
        head = f"NATS/1.0\r\n{self._head}{extra}\r\n".encode()
        total = len(head) + len(self.payload)
        return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (
            self.subject.encode(),
            reply.encode(),
            len(head),
            total,
            head,
            self.payload,
        )

    def settle(self, sequence: int) -> None:
        """Tell the writer that the record is in the log."""
        if not self.done.done():
            self.done.set_result(sequence)

    def fail(self, error: Exception) -> None:
        """Tell the writer that it is not, or that nobody knows."""
        if not self.done.done():
            self.done.set_exception(error)


async def as_batch(log: log_.Log, entries: list[Entry]) -> bool:
    """Append all in one atomic batch; False when the broker refused it because of one record.

    Raises: Unconfirmed when no answer came (all or none may be in the log), LogFull.
    """
    for entry in entries:
        entry.tries += 1
    ack = await commit(log, entries)
    if ack.error is None:
        metrics.APPENDS.inc(len(entries))
        for offset, entry in enumerate(entries):
            entry.settle(ack.seq - len(entries) + 1 + offset)
        return True
    for entry in entries:  # a refused batch stored nothing
        entry.tries -= 1
    if ack.error.err_code in NO_ROOM or ack.error.code >= 500:
        raise LogFull(ack.error.description)
    logger.debug("batch_refused", error=ack.error.description, records=len(entries))
    return False


async def commit(log: log_.Log, entries: list[Entry]) -> log_.PubAck:
    """Send at least two records as one atomic batch and return the broker's verdict on it.

    Raises: Unconfirmed when no answer came: all or none may be in the log.
    """
    batch_id = uuid.uuid4().hex
    last = len(entries)
    opened, opening = _expect(log)
    committed, committing = _expect(log)
    committed.add_done_callback(_looked_at)  # nobody waits for it when the first answer says enough
    commands = []
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            for number, entry in enumerate(entries, 1):
                extra = f"Nats-Batch-Id: {batch_id}\r\nNats-Batch-Sequence: {number}\r\n"
                if number == last:
                    commands.append(entry.command(committing, extra + "Nats-Batch-Commit: 1\r\n"))
                else:
                    commands.append(entry.command(opening if number == 1 else "", extra))
                if number % SLICE == 0 and number < last:
                    await log.write(b"".join(commands))
                    commands.clear()
                    await asyncio.sleep(0)
            await log.write(b"".join(commands))
            return await _batch_answer(opened, committed)
    except TimeoutError:
        raise Unconfirmed("the broker did not answer to a batch in time") from None
    finally:
        log.inbox.forget(opening)
        log.inbox.forget(committing)


async def _batch_answer(opened: "asyncio.Future[bytes]", committed: "asyncio.Future[bytes]") -> log_.PubAck:
    """Return the commit's answer, or the first record's when that one was refused already."""
    first = await opened
    return log_.decode_ack(first or await committed)


async def singly(log: log_.Log, entries: list[Entry]) -> Exception | None:
    """Append each on its own, all in one window; return why some are still without a verdict, if any."""
    results = await asyncio.gather(*(_publish(log, entry) for entry in entries), return_exceptions=True)
    problem: Exception | None = None
    for result in results:
        if isinstance(result, Unconfirmed | nats.errors.Error | OSError):
            problem = result
        elif isinstance(result, BaseException):
            raise result
    return problem


async def _publish(log: log_.Log, entry: Entry) -> None:
    answer, reply = _expect(log)
    entry.tries += 1
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            await log.write(entry.command(reply))
            ack = log_.decode_ack(await answer)
    except TimeoutError:
        raise Unconfirmed("the broker did not answer in time") from None
    finally:
        log.inbox.forget(reply)
    if ack.error is None:
        metrics.APPENDS.inc()
        entry.settle(ack.seq)
    elif ack.error.err_code in WRONG_LAST_SEQUENCE:
        await _conflict(log, entry, ack.error.description)
    elif ack.error.err_code in NO_ROOM or ack.error.code >= 500:
        entry.tries -= 1
        raise LogFull(ack.error.description)
    else:
        entry.fail(Refused(f"{entry.subject}: {ack.error.description}"))


async def _conflict(log: log_.Log, entry: Entry, why: str) -> None:
    """Tell a lost race from a lost answer: a repeated record may have met itself."""
    if entry.tries > 1:
        try:
            for item in await log.history(*entry.email):
                if item.event_id == entry.record.event_id:
                    entry.settle(item.sequence)
                    return
        except log_.BrokerUnavailable as error:
            raise Unconfirmed(str(error)) from error
    metrics.CONFLICTS.inc()
    entry.fail(Conflict(f"{entry.subject}: {why}"))


def _looked_at(answer: "asyncio.Future[bytes]") -> None:
    if not answer.cancelled():
        answer.exception()


def _expect(log: log_.Log) -> tuple["asyncio.Future[bytes]", str]:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def on_answer(message: Msg) -> None:
        if answer.done():
            return
        if message.headers and message.headers.get("Status") == "503":
            answer.set_exception(Unconfirmed("no broker serves the log right now"))
        else:
            answer.set_result(message.data)

    return answer, log.inbox.expect(on_answer)
