"""Owns the estimated lengths of lists for a few seconds each: a new one for every page would cost more than the page."""

import time
from collections.abc import Hashable
from typing import Final

KEPT_FOR: Final = 10.0
KEPT: Final = 1000


class Estimates:
    """How many rows there are about, by what was asked for."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, int]] = {}

    def get(self, asked: Hashable) -> int | None:
        """Return the estimate while it is fresh."""
        known = self._known.get(asked)
        return known[1] if known and time.monotonic() - known[0] < KEPT_FOR else None

    def keep(self, asked: Hashable, rows: int) -> None:
        """Remember an estimate; when there are too many, all begin anew."""
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[asked] = (time.monotonic(), rows)
