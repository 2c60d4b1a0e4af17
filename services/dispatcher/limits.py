"""An account's message limits, shared by all dispatchers: slots reserved in chunks in one bucket entry.

Seconds and minutes are spaced evenly (GCRA without burst), so no window of that length is ever above
its limit; hours and days are calendar windows in UTC that count. What a killed dispatcher had reserved
is lost, never sent twice: a limit can be missed by a chunk, it cannot be exceeded.
"""

import asyncio
import time
from collections import deque
from typing import Final

import msgspec

from shared.runtime import buckets
from shared.runtime.configuration import Limits

WAIT_AT_MOST: Final = 2.0
CHUNK_SECONDS: Final = 0.5
STALE_AFTER: Final = 1.0
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


def are_set(limits: Limits) -> bool:
    """Say whether any message limit applies."""
    return any((limits.per_second, limits.per_minute, limits.per_hour, limits.per_day))


def interval(limits: Limits) -> float:
    """Return the seconds between two messages that both the second and the minute allow."""
    second = 1 / limits.per_second if limits.per_second else 0.0
    minute = 60 / limits.per_minute if limits.per_minute else 0.0
    return max(second, minute)


def reserve(ledger: Ledger, limits: Limits, wanted: int, now: float) -> tuple[list[float], Ledger]:
    """Return the times of up to `wanted` slots and the ledger without them. Pure.

    Raises: Full when the next slot is more than WAIT_AT_MOST away.
    """
    step = interval(limits)
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
    return int(slot // 3600) < int(now // 3600) or (interval(limits) > 0 and slot < now - STALE_AFTER)


class Limiter:
    """Hands out this dispatcher's reserved slots of one account, one reservation at a time."""

    def __init__(self, bucket: buckets.Bucket[Ledger], key: str) -> None:
        self._bucket, self._key = bucket, key
        self._slots: deque[float] = deque()
        self._reserving = asyncio.Lock()
        self._wanted = 0

    async def slot(self, limits: Limits) -> None:
        """Return when one message may leave. Raises: Full, BrokerUnavailable."""
        if not are_set(limits):
            return
        self._wanted += 1
        try:
            async with self._reserving:
                at = await self._next(limits)
        finally:
            self._wanted -= 1
        delay = at - time.time()
        if delay > 0:
            await asyncio.sleep(delay)

    async def _next(self, limits: Limits) -> float:
        now = time.time()
        while self._slots and is_stale(self._slots[0], limits, now):
            self._slots.popleft()
        if not self._slots:
            self._slots.extend(await self._reserve(limits))
        return self._slots.popleft()

    async def _reserve(self, limits: Limits) -> list[float]:
        while True:
            found = await self._bucket.read(self._key)
            revision, ledger = found or (0, Ledger())
            slots, after = reserve(ledger, limits, self._wanted, time.time())
            try:
                await self._bucket.put(self._key, after, revision=revision)
            except buckets.Changed:
                continue
            return slots
