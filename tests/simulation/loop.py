"""An event loop whose time jumps to the next timer: hours pass in milliseconds, and equal seeds run equal."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class _NoWaiting(selectors.DefaultSelector):
    """Never sleeps: tells the loop how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready: list[Any] = super().select(0)
        if timeout and not ready:
            self.skipped += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Virtual seconds since the loop was made."""

    def __init__(self) -> None:
        self._jumps = _NoWaiting()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Return the virtual time."""
        return self._jumps.skipped


def run(main: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a coroutine to its end in virtual time; what is left over is dropped."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
