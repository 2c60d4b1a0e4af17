"""An account's message limits, shared by all dispatchers: slots reserved in chunks in one bucket entry.

Seconds and minutes are spaced evenly (GCRA without burst), so no window of that length is ever above
its limit; hours and days are calendar windows in UTC that count. What a killed dispatcher had reserved
is lost, never sent twice: a limit can be missed by a chunk, it cannot be exceeded. A slot is good for its
own moment: whatever was stalled takes another right before it leaves, so that nothing leaves all at once.
"""

import asyncio
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from services.dispatcher.gate import Gate
from shared.runtime import buckets
from shared.runtime.configuration import Limits
from shared.runtime.log import BrokerUnavailable

WAIT_AT_MOST: Final = 2.0
CHUNK_SECONDS: Final = 0.5
STALE_AFTER: Final = CHUNK_SECONDS
CLOCK_FAULT: Final = 120.0
_WINDOWS: Final = (("per_hour", 3600), ("per_day", 86_400))


class Window(msgspec.Struct, frozen=True):
    """How many messages were reserved in the calendar window that began at `start` (Unix seconds)."""

    start: int = 0
    used: int = 0


class Ledger(msgspec.Struct, frozen=True):
    """What all dispatchers have reserved of one account; `next_at` is the first free moment."""

    next_at: float = 0.0
    hour: Window = Window()
    day: Window = Window()


class Full(Exception):
    """No slot soon: which limit is reached, as `per_day (1000)`, and until when (Unix seconds)."""

    def __init__(self, name: str, allowed: int | None, until: float) -> None:
        self.limit, self.until = f"{name} ({allowed})", until
        super().__init__(self.limit)

    def wait(self, now: datetime) -> timedelta:
        """Return for how long from `now`."""
        return datetime.fromtimestamp(self.until, UTC) - now


def are_set(limits: Limits) -> bool:
    """Say whether any message limit applies."""
    return any((limits.per_second, limits.per_minute, limits.per_hour, limits.per_day))


def _first(limits: Limits) -> tuple[str, int | None]:
    names = ("per_second", "per_minute", "per_hour", "per_day")
    return next((name, getattr(limits, name)) for name in names if getattr(limits, name))


def reserve(ledger: Ledger, limits: Limits, wanted: int, now: float) -> tuple[list[float], Ledger]:
    """Return the times of up to `wanted` slots and the ledger without them. Pure.

    Raises: Full when the next slot is more than WAIT_AT_MOST away.
    """
    step = limits.interval
    # Further ahead than all dispatchers' chunks can reach only a clock that has jumped back sees it.
    behind = ledger.next_at if ledger.next_at - now < max(CLOCK_FAULT, 2 * step) else now
    start = max(now, behind) if step else now
    if start - now > WAIT_AT_MOST:
        narrowest = "per_second" if limits.per_second and step == 1 / limits.per_second else "per_minute"
        raise Full(narrowest, getattr(limits, narrowest), start)
    count = max(1, min(wanted, int(CHUNK_SECONDS / step) if step else wanted))
    if step:  # no chunk reaches into the next hour, or it would be counted in the wrong one
        count = min(count, max(1, int((3600 - start % 3600) / step)))
    counted: dict[str, Window] = {}
    for name, length in _WINDOWS:
        limit = getattr(limits, name)
        window = ledger.hour if name == "per_hour" else ledger.day
        begin = int(start // length * length)
        used = window.used if window.start >= begin else 0
        begin = max(begin, window.start)
        if limit is not None:
            if used >= limit:
                raise Full(name, limit, begin + length)
            count = min(count, limit - used, max(1, limit // 20))
        counted[name] = Window(begin, used)
    hour, day = counted["per_hour"], counted["per_day"]
    slots = [start + step * number for number in range(count)]
    after = Ledger(
        start + step * count,
        Window(hour.start, hour.used + count),
        Window(day.start, day.used + count),
    )
    return slots, after


def is_stale(slot: float, limits: Limits, now: float) -> bool:
    """Say whether a slot must not be used any more: it was counted in an hour that is over, or it is so
    late that it would crowd the slots that follow. Pure.
    """
    return int(slot // 3600) < int(now // 3600) or (limits.interval > 0 and slot < now - STALE_AFTER)


def has_passed(slot: float, limits: Limits, now: float) -> bool:
    """Say whether a message must not leave by this slot any more, a chunk or its own interval late. Pure.

    The interval, for a slow account: one message a minute would never leave where connecting takes a second.
    """
    late = max(STALE_AFTER, limits.interval)
    return int(slot // 3600) < int(now // 3600) or (limits.interval > 0 and slot < now - late)


def give_back(ledger: Ledger, slots: list[float]) -> Ledger:
    """Return the ledger without slots nobody used: hours and days do not count them. Pure."""
    hour, day = _less(ledger.hour, 3600, slots), _less(ledger.day, 86_400, slots)
    return Ledger(ledger.next_at, hour, day)


def _less(window: Window, length: int, slots: list[float]) -> Window:
    unused = sum(window.start <= slot < window.start + length for slot in slots)
    return Window(window.start, max(0, window.used - unused))


class Slot:
    """Leave for one message to go at one moment; without limits at any."""

    def __init__(self, limiter: "Limiter", limits: Limits, at: float | None) -> None:
        self._limiter, self._limits, self._at = limiter, limits, at

    async def keep(self) -> None:
        """Return when the message may leave at once; a moment that has passed is exchanged. Raises: Full."""
        while self._at is not None and has_passed(self._at, self._limits, time.time()):
            self._at = await self._limiter.exchange(self._at, self._limits)


class Limiter:
    """Hands out this dispatcher's reserved slots of one account, one reservation at a time."""

    def __init__(self, bucket: buckets.Bucket[Ledger], key: str) -> None:
        self._bucket, self._key = bucket, key
        self._slots: deque[float] = deque()
        self._unused: list[float] = []  # reserved, and passed before anything left by them
        self._turn = Gate(1)

    async def slot(self, limits: Limits, *, bulk: bool = False) -> Slot:
        """Return when one message may leave. Raises: Full, BrokerUnavailable."""
        return Slot(self, limits, await self._wait(limits, bulk) if are_set(limits) else None)

    async def exchange(self, passed: float, limits: Limits) -> float:
        """Return at another moment than the one that has passed. Raises: Full."""
        self._unused.append(passed)
        try:
            return await self._wait(limits, bulk=False)
        except BrokerUnavailable:  # nobody can say when: it is asked again as after any other wait
            raise Full(*_first(limits), time.time() + WAIT_AT_MOST) from None

    async def _wait(self, limits: Limits, bulk: bool) -> float:
        """Return at the next slot's moment; until then nobody has it, so that a single send can still come first."""
        await self._turn.enter(bulk=bulk)
        try:
            at = await self._next(limits)
            delay = at - time.time()
            if delay > 0:
                await asyncio.sleep(delay)
            return at
        finally:
            self._turn.leave()

    async def _next(self, limits: Limits) -> float:
        now = time.time()
        while self._slots and is_stale(self._slots[0], limits, now):
            self._unused.append(self._slots.popleft())
        if not self._slots:
            self._slots.extend(await self._reserve(limits))
        return self._slots.popleft()

    async def _reserve(self, limits: Limits) -> list[float]:
        while True:
            found = await self._bucket.read(self._key)
            revision, ledger = found or (0, Ledger())
            slots, after = reserve(
                give_back(ledger, self._unused), limits, self._turn.waiting + 1, time.time()
            )
            # Given back once, though the answer be lost: twice would be more than the limit.
            returned, self._unused = self._unused, []
            try:
                await self._bucket.put(self._key, after, revision=revision)
            except buckets.Changed:
                self._unused += returned
                continue
            return slots
