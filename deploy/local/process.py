"""One child process of the local world: started, heard, ended with everything it started.

Each child leads a process group of its own, so that Ctrl-C reaches the supervisor alone and it can stop
them in order; and each dies with the supervisor, so that nothing is ever left behind.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local import identity
from deploy.local.console import Console, Echo

_LOG_LIMIT = 16 * 1024 * 1024
_LINE_LIMIT = 64 * 1024


def _nothing() -> None:
    return


async def _at_once() -> bool:
    return True


@dataclass(frozen=True)
class Program:
    """What to run, when it counts as ready, and how it is asked to stop. Data: nothing runs yet."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    ready: Callable[[], Awaitable[bool]] = _at_once
    # Asked while it runs: why it has to be started again, although it has not ended.
    ails: Callable[[], Awaitable[str | None]] | None = None
    # Called before every start, in a thread: it may block.
    prepare: Callable[[], None] = _nothing
    stop_signal: signal.Signals = signal.SIGTERM
    # Lower turns stop first, equal ones together.
    stop_turn: int = 0
    # What the kernel sends it when the supervisor is killed.
    death_signal: signal.Signals = signal.SIGKILL
    runs_as: identity.Identity | None = None


class Child:
    """A running program. Everything it prints goes to its log file; warnings are echoed."""

    def __init__(
        self, program: Program, process: asyncio.subprocess.Process, log: "LogFile", echo: Echo
    ) -> None:
        self._program = program
        self._process = process
        self._hearing = asyncio.create_task(_hear(process, log, echo))

    @classmethod
    async def start(cls, program: Program, log: "LogFile", console: Console, run: Path) -> "Child":
        """Start the program and write down its pid in `run`, for a supervisor that comes after a crash."""
        await asyncio.to_thread(program.prepare)
        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=program.directory,
            env=dict(program.environment),
            start_new_session=True,
            preexec_fn=identity.before_exec(program.runs_as, program.death_signal),
        )
        remember(run / program.name, process.pid)
        return cls(program, process, log, Echo(program.name, log.path, console))

    async def ended(self) -> int:
        """Wait for its end and return the exit code (negative: the signal); its group is gone then, too."""
        code = await self._process.wait()
        self.kill()
        # Whoever left the group (a backend of Postgres) may still hold the pipe for a moment.
        await asyncio.wait([self._hearing], timeout=1)
        self._hearing.cancel()
        return code

    async def stop(self, grace: float) -> None:
        """Ask it to stop, and kill it after `grace` seconds."""
        await self.end(grace)
        await self.ended()

    async def end(self, grace: float) -> None:
        """The same, for somebody beside the one who waits for its end."""
        with suppress(ProcessLookupError):
            self._process.send_signal(self._program.stop_signal)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._process.wait()
        self.kill()

    def kill(self) -> None:
        """Kill its whole group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


class LogFile:
    """A program's log: begun anew with every supervisor, the one before kept, never larger than 2 x 16 MB."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last_words = ""
        self._begin()

    def write(self, data: bytes) -> None:
        """Append what the program printed; on a full disk it is lost, for the program must not block on us."""
        with suppress(OSError):
            self._file.write(data)
            self._size += len(data)
            if self._size > _LOG_LIMIT:
                self.close()
                self._begin()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _begin(self) -> None:
        with suppress(OSError):
            self.path.rename(self.path.with_suffix(".log.1"))
        self._file = self.path.open("ab", buffering=0)
        self._size = 0


def remember(place: Path, pid: int) -> None:
    """Write down a child: its pid, and when it began, since a pid alone may come to mean another process."""
    with suppress(psutil.Error, OSError):
        place.write_text(f"{pid} {psutil.Process(pid).create_time()}\n", encoding="ascii")


def end_remembered(run: Path) -> None:
    """End what a killed supervisor left running, where the kernel did not do so; blocks up to 10 s."""
    left = [process for place in run.iterdir() if (process := _remembered(place)) is not None]
    for process in left:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGQUIT if process.name() == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(left, timeout=5)
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)
    for place in run.iterdir():
        place.unlink()


def _remembered(place: Path) -> psutil.Process | None:
    try:
        pid, began = place.read_text(encoding="ascii").split()
        process = psutil.Process(int(pid))
        return process if abs(process.create_time() - float(began)) < 1 else None
    except (ValueError, psutil.Error):
        return None


async def _hear(process: asyncio.subprocess.Process, log: LogFile, echo: Echo) -> None:
    assert process.stdout is not None
    rest = b""
    while data := await process.stdout.read(65_536):
        log.write(data)
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[-_LINE_LIMIT:]
        for line in lines:
            echo.line(line)
            log.last_words = line.decode("utf-8", "replace").strip() or log.last_words
