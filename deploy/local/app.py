"""One run of the local world, from the lock on its home to the last process stopped.

Everything that keeps it from starting is one sentence that says what to do, never a traceback.
"""

import asyncio
import signal
import time

from deploy.local import identity, ports, process, servers
from deploy.local import settings as environment
from deploy.local.console import Console
from deploy.local.home import Home, Taken
from deploy.local.supervisor import NotStarting, Patience, Supervisor
from deploy.local.world import WHOLE, Plan, World

_FINE, _FAILED, _MISUSED = 0, 1, 2


def main(plan: Plan = WHOLE, patience: Patience | None = None) -> int:
    """Run a world in the foreground until it is asked to stop; return the exit code."""
    console = Console()
    try:
        settings = environment.read()
    except environment.Misused as misuse:
        console.complain(str(misuse))
        return _MISUSED
    try:
        return asyncio.run(_run(settings, plan, console, patience))
    except (Taken, servers.Unusable) as reason:
        console.complain(str(reason))
    except identity.Unreachable as reason:
        console.complain(f"{reason}: set SENDLOG_HOME to a directory that everyone may enter")
    except OSError as error:
        console.complain(f"{settings.home} cannot be used: {error.strerror or error}")
    return _FAILED


async def _run(
    settings: environment.Settings, plan: Plan, console: Console, patience: Patience | None
) -> int:
    began = time.monotonic()
    home = Home(settings.home)
    try:
        await asyncio.to_thread(process.end_remembered, home.path / "run")
        _check_ports(settings)
        return await _live(
            World(settings, plan, home), Supervisor(home, console, patience), home, console, began
        )
    finally:
        home.release()


async def _live(world: World, supervisor: Supervisor, home: Home, console: Console, began: float) -> int:
    stop = _stop_requested(supervisor)
    starting = asyncio.create_task(world.start(supervisor))
    try:
        await asyncio.wait([starting, stop], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return _FINE
        if (problem := _problem(starting)) is not None:
            console.complain(problem)
            return _FAILED
        world.write_env()
        console.say(world.welcome(began))
        await stop
        return _FINE
    finally:
        home.env_file.unlink(missing_ok=True)
        console.say("Stopping.")
        starting.cancel()
        await asyncio.wait([starting])
        await supervisor.stop()


def _problem(starting: "asyncio.Task[None]") -> str | None:
    error: BaseException | None = starting.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, (NotStarting, servers.Unusable, OSError)):
        return str(error)
    if error is not None:
        raise error
    return None


def _stop_requested(supervisor: Supervisor) -> "asyncio.Future[None]":
    """Return a future that the first SIGINT, SIGTERM or SIGHUP completes; a second one kills everything."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def asked() -> None:
        if stop.done():
            supervisor.kill()
        else:
            stop.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked)
    return stop


def _check_ports(settings: environment.Settings) -> None:
    for variable, port in settings.ports.items():
        if not ports.is_free(port):
            raise servers.Unusable(
                f"port {port} is in use: stop what uses it, or set {variable} to another port"
            )
