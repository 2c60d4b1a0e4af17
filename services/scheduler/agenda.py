"""The agenda: which account has to be looked at, and when. In memory only; the table is the truth.

Due times are wall-clock and are compared again at least once a second, so a jump of the clock neither
loses nor delays anything; rests are monotonic. An entry too many costs one look, an entry too few
costs at most the second until the table is asked again.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from services.scheduler.row import Lane

LOOK_AT_LEAST_EVERY: Final = 1.0
# Outcomes come in bunches: one look for a bunch costs as much as one for each of them.
GATHER: Final = 0.02


class Agenda:
    """Lanes by the time of their next look. A lane is in one pair of hands at a time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._wake: dict[Lane, datetime] = {}
        self._rests: dict[Lane, float] = {}
        self._due: list[tuple[datetime, Lane]] = []
        self._ends: list[tuple[float, Lane]] = []
        self._busy: set[Lane] = set()
        self._freed: set[Lane] = set()
        self._changed = asyncio.Event()

    def touch(self, lane: Lane, at: datetime) -> None:
        """Look at the lane at `at` or earlier, but not before its rest is over."""
        known = self._wake.get(lane)
        if known is not None and known <= at:
            return
        self._wake[lane] = at
        self._push(lane)

    def free(self, lane: Lane) -> None:
        """Cut the lane's rest short: something of it came back, and what comes with it is waited for.

        Without a rest there is nothing to look at that is not known already.
        """
        if lane in self._busy:
            self._freed.add(lane)
        soon = asyncio.get_running_loop().time() + GATHER
        if self._rests.get(lane, soon) > soon:
            self._rest(lane, soon)

    def rested(self) -> list[Lane]:
        """Return the lanes that are left alone for a while."""
        return list(self._rests)

    async def take(self, limit: int) -> list[Lane]:
        """Wait until lanes are due and take up to `limit`; each must be given back with `done`."""
        while True:
            self._changed.clear()
            lanes = self._take(limit)
            if lanes:
                if self._due:
                    self._changed.set()  # somebody else may take the rest
                return lanes
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, lane: Lane, *, at: datetime | None = None, rest: float = 0.0) -> None:
        """Give a lane back: look again at `at`, and not within `rest` seconds unless something comes back."""
        self._busy.discard(lane)
        if lane in self._freed:
            self._freed.discard(lane)
            rest = min(rest, GATHER)
        if rest > 0:
            self._rest(lane, asyncio.get_running_loop().time() + rest)
        if at is not None:
            self._wake[lane] = min(at, self._wake.get(lane, at))
        if lane in self._wake:
            self._push(lane)

    def give_back(self, lanes: Iterable[Lane], rest: float) -> None:
        """Give lanes back that could not be looked at, to be tried again after `rest` seconds."""
        for lane in lanes:
            if lane in self._busy:
                self._freed.discard(lane)
                self.done(lane, at=self._clock(), rest=rest)

    def _rest(self, lane: Lane, until: float) -> None:
        self._rests[lane] = until
        heapq.heappush(self._ends, (until, lane))
        if self._ends[0][1] == lane:
            self._changed.set()

    def _push(self, lane: Lane) -> None:
        if lane in self._busy or lane in self._rests:
            return
        heapq.heappush(self._due, (self._wake[lane], lane))
        if self._due[0][1] == lane:
            self._changed.set()

    def _take(self, limit: int) -> list[Lane]:
        self._end_rests()
        now = self._clock()
        lanes: list[Lane] = []
        while self._due and self._due[0][0] <= now and len(lanes) < limit:
            at, lane = heapq.heappop(self._due)
            if self._wake.get(lane) != at or lane in self._rests or lane in self._busy:
                continue  # an older entry; the lane is entered again when it comes back
            del self._wake[lane]
            self._busy.add(lane)
            lanes.append(lane)
        return lanes

    def _end_rests(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._ends and self._ends[0][0] <= now:
            at, lane = heapq.heappop(self._ends)
            if self._rests.get(lane) == at:
                del self._rests[lane]
                if lane in self._wake:
                    self._push(lane)

    def _until_next(self) -> float:
        wait = LOOK_AT_LEAST_EVERY
        if self._due:
            wait = min(wait, (self._due[0][0] - self._clock()).total_seconds())
        if self._ends:
            wait = min(wait, self._ends[0][0] - asyncio.get_running_loop().time())
        return max(wait, 0.0)
