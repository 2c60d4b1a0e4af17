"""A gate lets a bounded, changing number in at once: single sends before bulk, each first come first served.

Whatever an account's mail has to wait for in a dispatcher is such a gate, but for memory, which only large emails
wait for: so a single send does not stand behind its own account's batch.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class Gate:
    """`limit` is how many may be inside at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0
        self._single: deque[asyncio.Future[None]] = deque()
        self._bulk: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait to be let in."""
        return len(self._single) + len(self._bulk)

    def set_limit(self, limit: int) -> None:
        """Let that many in from now on; who is inside above it stays."""
        self._limit = limit
        self._let_in()

    async def enter(self, *, bulk: bool = False) -> None:
        """Wait for a place. Raises: what `turn_away` makes."""
        if self._inside < self._limit and not self.waiting:
            self._inside += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._bulk if bulk else self._single
        queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place in queue:
                queue.remove(place)
            elif place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # it was given a place in the very moment it went away
            raise

    def leave(self) -> None:
        """Free a place for whoever is next."""
        self._inside -= 1
        self._let_in()

    def turn_away(self, why: Callable[[], Exception]) -> None:
        """Raise what this makes in everybody who waits."""
        for place in (*self._single, *self._bulk):
            if not place.done():
                place.set_exception(why())
        self._single.clear()
        self._bulk.clear()

    def _let_in(self) -> None:
        while self._inside < self._limit and (queue := self._single or self._bulk):
            place = queue.popleft()
            if not place.done():
                self._inside += 1
                place.set_result(None)
