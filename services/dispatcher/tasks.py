"""The tasks of a dispatcher, one for each record in hand, and how far each has come: what a stop may cut off.

A task past the final dot is never cut off: only it knows what the next hop said.
"""

import asyncio
from collections.abc import Coroutine
from enum import Enum, auto


class Phase(Enum):
    """How far a task has come, for a stop: waiting costs nobody, past the final dot nothing may be cut off.

    While a claim is being said nobody knows whether there is one: it is cut off only when that is answered.
    """

    WAITING = auto()
    CLAIMING = auto()
    CLAIMED = auto()
    DOTTED = auto()


class Tasks:
    """The running tasks; their number is how many records are in hand."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], Phase] = {}
        self.over = False

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Start a task, which waits until it says otherwise."""
        task = asyncio.create_task(work)
        self._tasks[task] = Phase.WAITING
        task.add_done_callback(self._tasks.pop)

    def reached(self, phase: Phase) -> None:
        """Note how far the task that calls this has come.

        Raises: CancelledError where the time for that is over.
        """
        task = asyncio.current_task()
        if task is None or task not in self._tasks:
            return
        self._tasks[task] = phase
        if self.over and phase is Phase.CLAIMED:
            raise asyncio.CancelledError

    async def stop(self, grace: float) -> None:
        """Cut off who waits, let the others finish within `grace` seconds, and never cut off a final dot."""
        self._cancel(Phase.WAITING)
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=grace)
        self.over = True
        self._cancel(Phase.CLAIMED)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cancel(self, phase: Phase) -> None:
        for task, reached in list(self._tasks.items()):
            if reached is phase:
                task.cancel()
