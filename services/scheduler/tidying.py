"""Tidying: looking over the whole table once a second, deadlines, lost outcomes, tombstones.

The look is what makes restarts and other schedulers' rows work without anybody telling anybody; the
rest keeps credit from leaking and the table from growing. Each step is bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from services.scheduler import book, metrics, settling, store
from services.scheduler.agenda import Agenda
from services.scheduler.flow import Flow
from services.scheduler.row import DONE, RELEASED, Key, Lane, Row
from services.scheduler.speaking import Voice
from services.scheduler.store import Store, Transaction
from shared.events import status
from shared.events.record import Record
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
LOOK_EVERY: Final = 1.0
# A look over very many accounts may cost at most a fiftieth of the time.
LOOK_SHARE: Final = 50
TIDY_EVERY: Final = 5.0
LOST_AFTER: Final = timedelta(minutes=5)
DEADLINES_EVERY: Final = timedelta(minutes=1)
HOLDS_KEPT: Final = timedelta(hours=1)


class Tidier:
    """Two loops: the look, and the tidying that one scheduler at a time does for all."""

    def __init__(
        self, table: Store, voice: Voice, agenda: Agenda, flow: Flow, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._voice, self._agenda, self._flow = table, voice, agenda, flow
        self._clock = clock
        self._deadlines_at: datetime | None = None

    async def look_for_ever(self) -> None:
        """Put on the agenda whatever the table has, and end what is past its deadline."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._guarded(self.look)
            await asyncio.sleep(max(LOOK_EVERY, LOOK_SHARE * (loop.time() - began)))

    async def tidy_for_ever(self) -> None:
        """Find lost outcomes, give deadlines, and delete what nobody will speak of again."""
        while True:
            await asyncio.sleep(TIDY_EVERY)
            await self._guarded(self.tidy)

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except (*store.UNAVAILABLE, BrokerUnavailable) as error:
            logger.warning("tidying_waits", problem=str(error) or repr(error))
        except Exception:
            logger.exception("tidying_failed")

    async def look(self) -> None:
        """Look over the table once."""
        lanes, deadline = await self._store.look()
        for lane, at in lanes.items():
            self._agenda.touch(lane, at)
        for lane in self._agenda.rested():
            self._free_if_changed(lane)
        if deadline is not None and deadline <= self._clock() and self._voice.can_speak:
            await self._expire()

    def _free_if_changed(self, lane: Lane) -> None:
        account = self._flow.account(lane)
        if account is not None and self._clock() - account.updated_at < timedelta(seconds=10 * LOOK_EVERY):
            self._agenda.free(lane)

    async def _expire(self) -> None:
        full = True
        while full:
            now = self._clock()
            async with self._store.transaction() as tx:
                if not await tx.is_the_one():
                    return
                fetched = await tx.expired(now)
                settled = await settling.settle(tx, self._voice, fetched, now)
            book.tell(self._agenda, settled.changes)
            full = len(fetched) == store.EXPIRED_STEP and bool(settled.changes)

    async def tidy(self) -> None:
        """Tidy up once, in bounded steps."""
        floor = await self._voice.learn_floor()
        now = self._clock()
        await self._repeat(lambda tx: tx.trim_done(floor), metrics.TRIMMED.inc)
        await self._repeat(lambda tx: tx.drop_holds(now - HOLDS_KEPT))
        if self._deadlines_at is None or abs(now - self._deadlines_at) >= DEADLINES_EVERY:
            await self._repeat(lambda tx: tx.give_deadlines(now, now + status.DEADLINE))
            self._deadlines_at = now
        while await self._find_lost(now) == store.LOST_STEP:
            pass

    async def _repeat(
        self, step: Callable[[Transaction], Awaitable[int]], count: Callable[[int], None] | None = None
    ) -> None:
        """Take a bounded step again until it has nothing left to do, unless another scheduler is at it."""
        done = store.STEP
        while done == store.STEP:
            async with self._store.transaction() as tx:
                done = await step(tx) if await tx.is_the_one() else 0
            if count is not None:
                count(done)

    async def _find_lost(self, now: datetime) -> int:
        """Look up in the log what has been out for long: lost outcomes must not use up the credit."""
        async with self._store.transaction() as tx:
            if not await tx.is_the_one():
                return 0
            rows = await tx.long_released(now - LOST_AFTER)
            histories = await asyncio.gather(*(self._voice.read(row, "lost") for row in rows))
            read = {row.key: history for row, history in zip(rows, histories, strict=True)}
            changes = (await book.absorb(tx, read, whole=True)).changes
            await self._end_or_keep(tx, read, now)
        book.tell(self._agenda, changes)
        return len(rows)

    async def _end_or_keep(self, tx: Transaction, histories: dict[Key, list[Record]], now: datetime) -> None:
        """End rows that nobody will ever speak of again; look at the others again in five minutes."""
        rows = [row for row in (await tx.lock(histories)).values() if row.state == RELEASED]
        dead = await asyncio.gather(*(self._is_over(row, histories[row.key]) for row in rows))
        await tx.update([_looked_at(row, over, now) for row, over in zip(rows, dead, strict=True)])

    async def _is_over(self, row: Row, history: list[Record]) -> bool:
        """A trimmed history was acknowledged by everybody; a dead letter is what nobody could handle."""
        return not history or await self._voice.is_dead(row)


def _looked_at(row: Row, over: bool, now: datetime) -> Row:
    if over:
        return msgspec.structs.replace(row, state=DONE, released_at=None)
    return msgspec.structs.replace(row, released_at=now)
