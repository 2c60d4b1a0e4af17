"""What a scenario is: a sentence, a fault, and the verdicts that must hold afterwards."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from deploy.local.ports import LOOPBACK, free_port
from tests.chaos.ledger import Verdict
from tests.controls import servers
from tests.controls.world import World, short_name


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it: the full form of `make chaos`, or the short one of `make test`."""

    emails: int
    seconds: float
    faults: int
    seeds: int = 10_000


FULL = Size(emails=20_000, seconds=60, faults=40)
SHORT = Size(emails=300, seconds=6, faults=2, seeds=300)

Run = Callable[[Size, World], Awaitable[list[Verdict]]]


@asynccontextmanager
async def a_world(home: Path | None = None) -> AsyncIterator[World]:
    """Run the whole local world for the length of the block."""
    world = World(home)
    await asyncio.to_thread(world.start)
    try:
        yield world
    finally:
        await asyncio.to_thread(world.stop)


def children(world: World) -> dict[int, str]:
    """Return the processes the supervisor itself started, by id (not Postgres' backends)."""
    found = {}
    for pid, command in world.pids().items():
        if pid == world.supervisor_pid:
            continue
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == world.supervisor_pid:
                found[pid] = short_name(command)
    return found


def pid_of(world: World, name: str) -> int:
    """Return the id of one of the supervisor's children. Raises: LookupError when it is not there now."""
    for pid, known in children(world).items():
        if known == name:
            return pid
    raise LookupError(name)


async def kill(world: World, name: str | None = None) -> str:
    """kill -9 one process, a random one without a name; return which."""
    alive = [pid for pid, known in children(world).items() if name in (None, known)]
    if not alive:
        return "nothing"
    pid = random.choice(alive)
    known = children(world).get(pid, "nothing")  # gone in between
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return "nothing"
    return known


@asynccontextmanager
async def another(world: World, name: str, count: int) -> AsyncIterator[list[servers.Process]]:
    """Run `count` more replicas of a service beside the world's own."""
    replicas = []
    for number in range(count):
        port = free_port()
        environment = {
            **os.environ,
            **world.variables,
            "SENDLOG_HEALTH_PORT": str(port),
            "SENDLOG_CONTENT_URL": f"file://{world.home}/content",
            "SENDLOG_KEYRING": str(world.home / "keyring"),
            "SENDLOG_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        }
        replicas.append(
            servers.Process(
                [sys.executable, "-m", f"services.{name}"],
                lambda port=port: servers._answers(f"http://{LOOPBACK}:{port}/readyz"),  # type: ignore[misc]
                log=world.home / f"{name}-{number}.log",
                environment=environment,
            )
        )
    for replica in replicas:
        await asyncio.to_thread(replica.start)
    try:
        yield replicas
    finally:
        for replica in replicas:
            with suppress(ProcessLookupError):
                replica.resume()
            await asyncio.to_thread(replica.stop)
