"""How a process lives: settings, parts started in order, a signal, parts stopped in reverse.

A part that cannot start ends the process with one sentence; the supervisor or Kubernetes starts it
again. SIGTERM stops taking new work, finishes what is in hand, then closes connections.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
import uvloop

from shared.runtime import telemetry
from shared.runtime.keyring import KeyringError
from shared.runtime.log import BrokerUnavailable
from shared.runtime.settings import SettingsError

logger = structlog.get_logger(__name__)


def run(service: str, build: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    """Run one service until SIGTERM or SIGINT; exits 1 with a sentence when it cannot start."""
    telemetry.configure(service)
    spare_what_lives()
    try:
        uvloop.run(_live(service, build))
    except (SettingsError, KeyringError, BrokerUnavailable, OSError) as error:
        sys.exit(f"{service}: {error}")


def spare_what_lives() -> None:
    """Leave what is there now to itself: modules live for ever, and collecting them cost a fifth of a busy scheduler."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 10, 10)


async def _live(service: str, build: Callable[[], AbstractAsyncContextManager[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with build():
        logger.info("started")
        await stop.wait()
        logger.info("stopping")
    logger.info("stopped")


@asynccontextmanager
async def background(task: asyncio.Task[None]) -> AsyncIterator[None]:
    """Own a task for the length of a block: cancelled and awaited at its end."""
    try:
        yield
    finally:
        await end(task)


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they have ended; whatever they end with is nobody's business any more.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which nats-py waits with, swallows a cancellation
    that meets its result, and a task that loops for ever then goes on for ever.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        try:
            _, pending = await asyncio.wait(pending, timeout=0.5)
        except asyncio.CancelledError:
            # Whoever ends these is ended, too: once more, for the first may be lost.
            for task in pending:
                task.cancel()
            raise
    await asyncio.gather(*tasks, return_exceptions=True)
