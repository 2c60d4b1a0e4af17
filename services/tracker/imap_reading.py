"""Reads one linked mailbox for as long as it is linked: what waits, then what comes, each message taken once.

The place is written after what a message tells is in the log. Our own troubles stop at the message, which comes
again with the next session; the mailbox stays as it is.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from services.tracker import imap_answers, imap_places
from services.tracker.imap import ImapFault, Mailbox, Seen, Server
from services.tracker.imap_answers import Item
from services.tracker.imap_places import Holding, Lost, Place
from services.tracker.ingress import OUR_TROUBLES
from shared.runtime import outgoing, process
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
FAULTS: Final = Counter("sendlog_imap_faults_total", "Sessions with a linked mailbox that ended", ["step"])
READING: Final = Gauge("sendlog_imap_mailboxes", "Linked mailboxes this tracker is logged in to")
AT_ONCE: Final = 4  # batches in memory, of all mailboxes together
BATCH: Final = 32
BATCH_BYTES: Final = 2 * 1024 * 1024
WINDOW, WIDEST = 256, 16_384  # numbers asked for at once
# Nobody is told that the mailbox was deleted and made anew: it is looked at again that often. NAT forgets less.
IDLE: Final = 25.0  # seconds
POLL: Final = 30.0  # seconds, where there is no IDLE
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
REFUSED_PAUSE, LONGEST_REFUSED = 60.0, 900.0  # providers lock out who is refused too often
TRIES: Final = 3  # with a message that breaks us, before it is passed over


class Taker(Protocol):
    """Who takes messages."""

    async def take(
        self, raw: bytes, envelope: Sequence[str], at: datetime | None = None, *, keep_all: bool = True
    ) -> object:
        """Take one. Raises: OUR_TROUBLES."""


class Shared(NamedTuple):
    """What all mailboxes share; `room` bounds the memory they take together."""

    inbound: Taker
    allowed: outgoing.Networks
    room: asyncio.Semaphore


class Link:
    """One linked mailbox."""

    def __init__(self, server: Server, holding: Holding, parts: Shared, log: structlog.BoundLogger) -> None:
        self._server, self._holding, self._parts, self._log = server, holding, parts, log
        self._origin = f"{server.username}@{server.host}/{server.mailbox}"
        self._broken: dict[int, int] = {}
        self._pause = FIRST_PAUSE

    async def read(self) -> None:
        """Read until cancelled, whenever no other tracker does."""
        while True:
            try:
                if not await self._holding.take():
                    await asyncio.sleep(imap_places.RENEW * random.uniform(0.8, 1.2))
                    continue
                await self._hold()
            except (ImapFault, Lost, *OUR_TROUBLES) as error:
                await asyncio.sleep(self._after(error) * random.uniform(0.8, 1.2))
            except Exception as error:  # a fault of ours must not unlink the mailbox until a restart
                self._log.exception("imap_failed", error=str(error))
                await asyncio.sleep(LONGEST_PAUSE)

    def _after(self, error: Exception) -> float:
        """Return how long to leave it alone."""
        refused = isinstance(error, ImapFault) and error.step in ("secret", "login")
        step = error.step if isinstance(error, ImapFault) else type(error).__name__
        FAULTS.labels(step).inc()
        pause = max(self._pause, REFUSED_PAUSE) if refused else self._pause
        self._log.warning("imap_interrupted", error=str(error), again_in=round(pause, 1))
        self._pause = min(2 * pause, LONGEST_REFUSED if refused else LONGEST_PAUSE)
        return pause

    async def _hold(self) -> None:
        """Read for as long as the mailbox is ours."""
        session = asyncio.create_task(self._session(), name="imap-session")
        keeping = asyncio.create_task(self._holding.keep(), name="imap-lease")
        try:
            done, _ = await asyncio.wait((session, keeping), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await process.end(session, keeping)
            await self._release()

    async def _release(self) -> None:
        with suppress(Lost, BrokerUnavailable):  # then it ends by itself
            await self._holding.release()

    async def _session(self) -> None:
        mailbox = await Mailbox.open(self._server, self._parts.allowed)
        try:
            with READING.track_inprogress():
                while True:
                    seen = await mailbox.examine()
                    await self._begin(seen)
                    self._pause = FIRST_PAUSE
                    await self._catch_up(mailbox, seen)
                    if mailbox.can_idle:
                        await mailbox.wait(IDLE)
                    else:
                        await asyncio.sleep(POLL)
        finally:
            await mailbox.close()

    async def _begin(self, seen: Seen) -> None:
        place = imap_places.begun(self._holding.place, self._origin, seen, datetime.now(UTC))
        if place != self._holding.place:
            self._log.info("imap_begun", validity=seen.validity, after_uid=place.uid, since=str(place.since))
            await self._holding.write(place)

    async def _catch_up(self, mailbox: Mailbox, seen: Seen) -> None:
        """Take what has arrived since the place, a window of numbers at a time: they have gaps of any size."""
        window = WINDOW
        while (first := self._holding.place.uid + 1) < seen.next_uid:
            last = min(first + window, seen.next_uid) - 1
            items = await mailbox.listed(first, last)
            since = self._holding.place.since
            for batch in batches([item for item in items if since is None or item.at >= since]):
                await self._take_all(mailbox, batch)
            await self._advance(last, None)
            window = WINDOW if len(items) > WINDOW // 2 else min(2 * window, WIDEST)

    async def _take_all(self, mailbox: Mailbox, batch: Sequence[Item]) -> None:
        """Take a batch at once, and write how far everything is taken. Raises: the first trouble."""
        async with self._parts.room:
            found = await mailbox.bodies(batch)
            results = await asyncio.gather(
                *(self._take(item, found.get(item.uid)) for item in batch), return_exceptions=True
            )
        taken = len(batch)
        trouble: BaseException | None = None
        for number, result in enumerate(results):
            if isinstance(result, BaseException):
                taken, trouble = number, result
                break
        if taken:
            newest = max(item.at for item in batch[:taken])
            await self._advance(batch[taken - 1].uid, newest)
        if trouble is not None:
            raise trouble

    async def _take(self, item: Item, raw: bytes | None) -> None:
        if raw is None:
            return  # it has left the mailbox
        at = imap_answers.believed(item.at, datetime.now(UTC))
        try:
            await self._parts.inbound.take(raw, (), at, keep_all=False)
        except OUR_TROUBLES:
            raise
        except Exception:
            self._broken[item.uid] = self._broken.get(item.uid, 0) + 1
            if self._broken[item.uid] < TRIES:
                raise
            self._log.exception("imap_passed_over", uid=item.uid, bytes=len(raw))
            del self._broken[item.uid]

    async def _advance(self, uid: int, newest: datetime | None) -> None:
        known = self._holding.place
        moved: Place = msgspec.structs.replace(
            known, uid=uid, newest=max(filter(None, (known.newest, newest)), default=None)
        )
        if moved != known:
            await self._holding.write(moved)


def batches(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Return the messages in order, as many at a time as fit into memory. Pure."""
    batch: list[Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) >= BATCH or size + item.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch
