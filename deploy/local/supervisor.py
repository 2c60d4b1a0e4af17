"""Keeping processes alive: started together, started again when they end, stopped in order.

What ends without being asked to is started again after a pause that grows to 5 s at most and is forgotten
after 10 s of health. Only before it has been ready for the first time is it given up, with a reason.
"""

import asyncio
import math
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from deploy.local.console import Console
from deploy.local.home import Home
from deploy.local.process import Child, LogFile, Program
from deploy.local.servers import Unusable

_ASK_EVERY = 0.03
_LOOK_EVERY = 2.0


class NotStarting(Exception):
    """A process does not get ready; the message says which one and what it said last."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds."""

    first_pause: float = 0.1
    longest_pause: float = 5.0
    healthy_after: float = 10.0
    ready_within: float = 60.0
    grace: float = 35.0
    first_tries: int = 4


class Supervisor:
    """The children of one local world."""

    def __init__(self, home: Home, console: Console, patience: Patience | None = None) -> None:
        self._home = home
        self._console = console
        self._patience = patience or Patience()
        self._keepers: list[_Keeper] = []

    async def start(self, programs: Sequence[Program]) -> None:
        """Start programs together and return when all are ready; from then on they are kept alive.

        Raises: NotStarting when one keeps ending or is not ready in time.
        """
        keepers = [self._keeper(program) for program in programs]
        for keeper in keepers:
            keeper.keep()
        await _all(keeper.ready_once() for keeper in keepers)

    async def run(self, program: Program) -> None:
        """Run a program to its end.

        Raises: NotStarting when it fails.
        """
        await self._keeper(program).run_once()

    async def stop(self) -> None:
        """Stop everything, turn by turn."""
        for turn in sorted({keeper.program.stop_turn for keeper in self._keepers}):
            await asyncio.gather(*(k.stop() for k in self._keepers if k.program.stop_turn == turn))

    def kill(self) -> None:
        """Kill what is still there: whoever is stopping us has lost patience."""
        for keeper in self._keepers:
            keeper.kill()

    def _keeper(self, program: Program) -> "_Keeper":
        keeper = _Keeper(program, self._home, self._console, self._patience)
        self._keepers.append(keeper)
        return keeper


class _Keeper:
    """One program and its present child."""

    def __init__(self, program: Program, home: Home, console: Console, patience: Patience) -> None:
        self.program = program
        self._run = home.path / "run"
        self._log = LogFile(home.path / "logs" / f"{program.name}.log")
        self._console = console
        self._patience = patience
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._healthy_since = math.inf
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None

    def keep(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def ready_once(self) -> None:
        assert self._task is not None
        ready = asyncio.create_task(self._ready.wait())
        done, _ = await asyncio.wait(
            [ready, self._task], timeout=self._patience.ready_within, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()
        if self._task in done:
            await self._task  # raises why it was given up; or else somebody stopped it
        elif not self._ready.is_set():
            raise NotStarting(self._complaint(f"is not ready after {self._patience.ready_within:.0f} s"))

    async def run_once(self) -> None:
        code = await self._live()
        if code != 0 and not self._stopping.is_set():
            raise NotStarting(self._complaint(_how_it_ended(code)))

    async def stop(self) -> None:
        self._stopping.set()
        if self._child is not None:
            await self._child.stop(self._patience.grace)
        if self._task is not None:
            with suppress(NotStarting, Unusable, OSError):  # said by whoever waited for it to be ready
                await self._task
        self._log.close()

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    async def _keep(self) -> None:
        pause, failures = self._patience.first_pause, 0
        while not self._stopping.is_set():
            ending = await self._try_to_live()
            if self._stopping.is_set():
                return
            failures += 1
            if failures >= self._patience.first_tries and not self._ready.is_set():
                raise NotStarting(self._complaint(ending))
            if time.monotonic() - self._healthy_since > self._patience.healthy_after:
                pause = self._patience.first_pause
            self._console.say(f"{self.program.name} {ending}; starting it again in {pause:.1f} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, self._patience.longest_pause)

    async def _try_to_live(self) -> str:
        """Run one child and return how it ended; what cannot even be started counts as having ended."""
        try:
            return _how_it_ended(await self._live())
        except (OSError, Unusable) as problem:
            if not self._ready.is_set():
                raise
            return f"could not be started ({problem})"

    async def _live(self) -> int:
        """Run one child from start to end."""
        self._healthy_since = math.inf
        self._child = await Child.start(self.program, self._log, self._console, self._run)
        if self._stopping.is_set():  # asked while it was being started
            await self._child.stop(self._patience.grace)
        asking = asyncio.create_task(self._ask())
        try:
            return await self._child.ended()
        finally:
            asking.cancel()
            (self._run / self.program.name).unlink(missing_ok=True)

    async def _ask(self) -> None:
        while not await self.program.ready():  # noqa: ASYNC110 - another process cannot set our event
            await asyncio.sleep(_ASK_EVERY)
        self._healthy_since = time.monotonic()
        self._ready.set()
        if self.program.ails is not None:
            await self._end_when_it_ails(self.program.ails)

    async def _end_when_it_ails(self, ails: Callable[[], Awaitable[str | None]]) -> None:
        while (why := await ails()) is None:  # noqa: ASYNC110 - another process cannot set our event
            await asyncio.sleep(_LOOK_EVERY)
        self._console.say(f"{self.program.name} is stopped: {why}")
        assert self._child is not None
        await self._child.end(self._patience.grace)

    def _complaint(self, what: str) -> str:
        said = f"; it said: {self._log.last_words[:300]}" if self._log.last_words else ""
        return f"{self.program.name} {what}{said} (more in {self._log.path})"


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    known = {int(number): number.name for number in signal.Signals}
    return f"was ended by {known.get(-code, f'signal {-code}')}"


async def _all(waits: Iterable[Coroutine[None, None, None]]) -> None:
    """Wait for all, or for the first that fails."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
