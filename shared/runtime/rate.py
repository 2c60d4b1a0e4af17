"""How much of something happened within the last second, in tenths of a second."""

from collections import deque
from typing import Final

_BUCKETS: Final = 10


class Rate:
    """Counts; times are in seconds of any steady clock."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque()
        self._total = 0

    def add(self, count: int, now: float) -> None:
        """Count that many more."""
        tick = int(now * _BUCKETS)
        self._total += count
        if self._counts and self._counts[-1][0] == tick:
            count += self._counts.pop()[1]
        self._counts.append((tick, count))
        self.per_second(now)

    def per_second(self, now: float) -> int:
        """Return how many were counted within the second before `now`."""
        oldest = int(now * _BUCKETS) - _BUCKETS
        while self._counts and self._counts[0][0] < oldest:
            self._total -= self._counts.popleft()[1]
        return self._total
