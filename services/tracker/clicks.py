"""The clicks of the last seconds by email: what shows that several links were followed at once.

Bounded for each email: whoever hammers one link costs no more than who follows it.
"""

import asyncio
from collections import OrderedDict, deque
from datetime import datetime
from typing import Final

from services.tracker import machine
from services.tracker.hit import Hit

MOST: Final = 32
FORGOTTEN_AFTER: Final = 8.0
_CLOSE: Final = machine.HASTE / 4


class Clicks:
    """Remembers; the clock of forgetting is the loop's, which does not jump."""

    def __init__(self) -> None:
        self._by_email: OrderedDict[str, tuple[float, deque[tuple[datetime, str]]]] = OrderedDict()

    def note(self, hit: Hit) -> None:
        """Remember a click."""
        if hit.kind != "click":
            return
        known = self._by_email.pop(hit.email_id, None)
        recent = deque[tuple[datetime, str]](maxlen=MOST) if known is None else known[1]
        if not any(url == hit.url and abs(hit.at - at) < _CLOSE for at, url in recent):
            recent.append((hit.at, hit.url))
        self._by_email[hit.email_id] = (asyncio.get_running_loop().time(), recent)

    def of(self, hit: Hit) -> tuple[tuple[datetime, str], ...]:
        """Return the clicks of the hit's email."""
        known = self._by_email.get(hit.email_id)
        return () if known is None else tuple(known[1])

    def forget(self) -> None:
        """Forget what no later click can be compared with."""
        before = asyncio.get_running_loop().time() - FORGOTTEN_AFTER
        while self._by_email:
            email_id, (at, _) = next(iter(self._by_email.items()))
            if at > before:
                return
            del self._by_email[email_id]
