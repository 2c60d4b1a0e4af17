"""Owns how many requests a key may make: a token bucket per key, in the memory of this process.

Each replica counts by itself, so behind N gateways a key may reach N times its limit: the limit protects
each process, and a shared counter would put a broker round trip before every request (docs/adr).
"""

import math
from typing import Final

import msgspec

MINUTE: Final = 60.0


class Verdict(msgspec.Struct, frozen=True):
    """Whether the request may pass, and what the key has left; `wait` in whole seconds when it may not."""

    unused_at: float
    limit: int
    remaining: int
    reset: int
    wait: int


def judge(unused_at: float, limit: int, now: float) -> Verdict:
    """Take one token of `limit` a minute, as GCRA does; `unused_at` is when nothing counts any more. Pure."""
    each = MINUTE / limit
    start = max(unused_at, now)
    after = start + each
    if after - now > MINUTE + each / 2:  # half a token of tolerance: floats
        return Verdict(start, limit, 0, math.ceil(start - now), max(1, math.ceil(after - now - MINUTE)))
    return Verdict(
        after, limit, max(0, int((MINUTE - (after - now)) / each + 0.5)), math.ceil(after - now), 0
    )


class Limiter:
    """The buckets of all keys that were used; as many as there are keys."""

    def __init__(self) -> None:
        self._unused_at: dict[str, float] = {}

    def take(self, key_id: str, limit: int, now: float) -> Verdict:
        """Count one request of the key."""
        verdict = judge(self._unused_at.get(key_id, 0.0), limit, now)
        self._unused_at[key_id] = verdict.unused_at
        return verdict
