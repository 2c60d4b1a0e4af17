"""Taking hits from the journal into the log: held for two seconds, judged, appended, let go; many at once.

Held, because only then is it known whether the email was sent meanwhile and how many links were followed at
once. What the log cannot take is tried again; beyond what memory has room for, hits stay in the journal.
"""

import asyncio
import heapq
from datetime import UTC, datetime
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from services.tracker import judging
from services.tracker.clicks import Clicks
from services.tracker.hit import Hit
from services.tracker.journal import Journal
from services.tracker.judging import Known
from services.tracker.remembering import Emails
from shared.events.base import EmailId, EventId, WorkspaceId
from shared.events.record import Record
from shared.runtime import process
from shared.runtime.log import BrokerUnavailable
from shared.runtime.publisher import Publisher, Refused, Unconfirmed
from shared.runtime.suppressions import Suppressions

logger = structlog.get_logger(__name__)
HITS: Final = Counter("sendlog_hits_total", "Hits by kind and by who made them", ["kind", "by"])
HELD: Final = Gauge("sendlog_hits_held", "Hits in memory that the log does not have yet")
HOLD: Final = 2.2
RETRY: Final = 1.0
GROUP: Final = 256
GROUPS: Final = 3
MOST: Final = 20_000
WITHIN: Final = 10.0
COMPLAIN_EVERY: Final = 5.0


class Taker:
    """Turns hits into events."""

    def __init__(
        self,
        emails: Emails,
        publisher: Publisher,
        suppressions: Suppressions,
        journal: Journal,
    ) -> None:
        self._emails, self._publisher, self._suppressions = emails, publisher, suppressions
        self._journal = journal
        self._clicks = Clicks()
        self._held: list[tuple[float, int, Hit]] = []
        self._count = self._number = 0
        self._slots = asyncio.Semaphore(GROUPS)
        self._groups: set[asyncio.Task[None]] = set()
        self._wake, self._moved = asyncio.Event(), asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._complained_at = -COMPLAIN_EVERY

    def start(self) -> None:
        """Begin with what the journal was left with; call once in a running loop."""
        HELD.set_function(lambda: self._count)
        self._grown(0)
        self._running = asyncio.create_task(self._run(), name="taking")

    def hold(self, hit: Hit) -> None:
        """Take an opening or a click in a while: only then is known what a verdict needs."""
        if hit.is_left:
            self._wake.set()
            return
        self._clicks.note(hit)
        self._grown(1)
        self._push(asyncio.get_running_loop().time() + HOLD, hit)

    def take(self, hit: Hit) -> "asyncio.Task[None]":
        """Take a hit that needs no verdict; the task ends when the log has it, or it will be tried again."""
        if not hit.is_left:
            self._grown(1)
        return self._begin([hit])

    async def stop(self, within: float) -> None:
        """Take what is held, each in its time; what the log does not take until then stays in the journal."""
        try:
            async with asyncio.timeout(within):
                while self._count and self._publisher.problem is None:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            logger.warning("hits_left", held=self._count)
        for tasks in ([self._running] if self._running else [], list(self._groups)):
            if tasks:
                await process.end(*tasks)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if self._journal.has_left and self._count < MOST // 2:
                await self._load()
            while self._held and self._held[0][0] <= loop.time():
                if len(self._groups) >= GROUPS:
                    await asyncio.wait(self._groups, return_when=asyncio.FIRST_COMPLETED)
                self._begin(self._due(loop.time()))
            wait = self._held[0][0] - loop.time() if self._held else None
            if not (self._journal.has_left and self._count < MOST // 2):
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _load(self) -> None:
        """Hold the oldest hits that were left; new ones are held as they come once none are left."""
        now, wall = asyncio.get_running_loop().time(), datetime.now(UTC)
        hits = await self._journal.load()
        for hit in hits:
            self._clicks.note(hit)
            age = (wall - hit.at).total_seconds()
            self._push(now + min(HOLD, max(0.0, HOLD - age)), hit)
        self._grown(len(hits))

    def _due(self, now: float) -> list[Hit]:
        found: list[Hit] = []
        while self._held and self._held[0][0] <= now and len(found) < GROUP:
            found.append(heapq.heappop(self._held)[2])
        return found

    def _push(self, due: float, hit: Hit) -> None:
        self._number += 1
        if not self._held or due < self._held[0][0]:
            self._wake.set()
        heapq.heappush(self._held, (due, self._number, hit))

    def _grown(self, more: int) -> None:
        self._count += more
        if self._count >= MOST:
            self._journal.leaves = True
        elif not self._journal.has_left:
            self._journal.leaves = False
        elif self._count < MOST // 2:
            self._wake.set()

    def _begin(self, hits: list[Hit]) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._group(hits))
        self._groups.add(task)
        task.add_done_callback(self._groups.discard)
        return task

    async def _group(self, hits: list[Hit]) -> None:
        """Take a group; those that did not get into the log come again in a while."""
        try:
            async with self._slots:
                done = await self._say(hits)
        except BrokerUnavailable as error:
            self._complain(str(error))
            done = []
        except Exception:
            logger.exception("hits_failed", hits=len(hits))
            done = []
        self._journal.let_go(done)
        self._clicks.forget()
        self._grown(-sum(not hit.is_left for hit in done))
        self._moved.set()
        taken = {id(hit) for hit in done}
        again = asyncio.get_running_loop().time() + RETRY
        for hit in hits:
            if id(hit) not in taken and not hit.is_left:
                self._clicks.note(hit)  # its neighbours come again as well
                self._push(again, hit)

    async def _say(self, hits: list[Hit]) -> list[Hit]:
        """Append what is said of these hits; return those that are done with."""
        emails = await self._emails.find({(hit.workspace, hit.email_id) for hit in hits})
        asked = [hit for hit in hits if (hit.workspace, hit.email_id) in emails]
        told = await asyncio.gather(
            *(self._say_one(hit, emails[hit.workspace, hit.email_id]) for hit in asked),
            return_exceptions=True,
        )
        return [hit for hit, fault in zip(asked, told, strict=True) if not self._comes_again(hit, fault)]

    async def _say_one(self, hit: Hit, email: Known | None) -> None:
        if email is None:  # a valid token of an email that was erased
            HITS.labels(hit.kind, "nobody").inc()
            return
        why = None
        if hit.is_unsubscribe:
            recipient = email.recipient(hit.place)
            if recipient is None:  # nobody has left, and nothing may say so
                HITS.labels(hit.kind, "nobody").inc()
                return
            detail = f"by the link, {hit.kind}"
            await self._suppressions.add(hit.workspace, recipient, "unsubscribe", detail)
        else:
            why = judging.reason(hit, email, self._clicks.of(hit))
        event = judging.event(hit, email, why)
        item = Record(WorkspaceId(hit.workspace), EmailId(hit.email_id), EventId(hit.event_id), event)
        await self._publisher.append(item, within=WITHIN)
        HITS.labels(hit.kind, "machine" if why else "person").inc()

    def _comes_again(self, hit: Hit, fault: BaseException | None) -> bool:
        if fault is None:
            return False
        if isinstance(fault, Refused):  # no repeat will change it
            logger.error("hit_refused", email_id=hit.email_id, kind=hit.kind, error=str(fault))
            return False
        if isinstance(fault, Unconfirmed | BrokerUnavailable):
            self._complain(str(fault))
        else:
            logger.error("hit_failed", email_id=hit.email_id, kind=hit.kind, exc_info=fault)
        return True

    def _complain(self, why: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._complained_at >= COMPLAIN_EVERY:
            self._complained_at = now
            logger.warning("hits_wait", held=self._count, why=why)
