"""C5: the disk under the log, under Postgres or under the content store has not one free block left."""

import asyncio
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from shared.runtime.content_files import MARKER
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size, children
from tests.chaos.small_disk import SmallDisk, unavailable
from tests.controls import servers
from tests.controls.world import World

SENDERS = 8
# A dispatcher's slow transmission ends, and what it has to tell finds no answer.
LONG_ENOUGH = 12.0
ENOUGH = 1024  # MB
LARGE = 200_000  # characters no compression makes small enough for the log


class Full:
    """A world whose disk under one directory is full, and what was seen of it meanwhile."""

    def __init__(self, world: World, disk: SmallDisk) -> None:
        self.world, self.disk = world, disk
        self.ledger = Ledger(world)
        self.answers: Counter[int] = Counter()
        self.texts: set[str] = set()
        self.unready: dict[str, str] = {}
        self._before: dict[str, int] = {}

    async def begin(self) -> None:
        """Send some mail that all arrives, and some that is in transmission while the disk fills up."""
        await self.ledger.many(20, 8)
        await self.ledger.settled(within=30)
        await self.ledger.many(6, 6, to="slow+{}@example.com")
        self._before = {name: pid for pid, name in children(self.world).items()}
        await asyncio.to_thread(self.disk.fill)

    async def knock(self, seconds: float, **fields: Any) -> None:
        """Ask for emails again and again, and ask every process how it is; 202s are promises like any."""
        ended = time.monotonic() + seconds
        async with self.ledger.session() as session:

            async def sender() -> None:
                while time.monotonic() < ended:
                    await self._ask(session, fields)

            async def asker() -> None:
                while time.monotonic() < ended:
                    await self._look(session)
                    await asyncio.sleep(0.3)

            await asyncio.gather(asker(), *(sender() for _ in range(SENDERS)))

    async def _ask(self, session: aiohttp.ClientSession, fields: dict[str, Any]) -> None:
        to = f"full{uuid.uuid4().hex[:8]}@example.com"
        body = {"to": to, "subject": "while it is full", "text": "x" * 3000} | fields
        try:
            async with session.post("/api/v1/emails/send", json=body) as answer:
                self.answers[answer.status] += 1
                told = await answer.json()
                if answer.status == 202:
                    self.ledger.promise(told["data"]["id"], told["data"]["message_id"], to)
                else:
                    self.texts.add(told["error"]["message"])
        except (aiohttp.ClientError, TimeoutError):
            self.answers[0] += 1
        await asyncio.sleep(0.05)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        for name in ("gateway", "dispatcher", "scheduler", "projector"):
            url = self.world.variables[f"SENDLOG_{name.upper()}_HEALTH"]
            try:
                async with session.get(f"{url}/readyz", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                    checks = (await answer.json())["checks"]
            except (aiohttp.ClientError, TimeoutError) as error:
                checks = {"process": repr(error)}
            for check, word in checks.items():
                if word != "ok":
                    self.unready[f"{name}: {check}"] = str(word)

    async def after(self) -> float:
        """Free the disk and return the seconds until an email is accepted and everything has ended."""
        await asyncio.to_thread(self.disk.free)
        began = time.monotonic()
        async with self.ledger.session() as session:
            await self.ledger.send(session, "after@example.com", within=60)
        took = time.monotonic() - began
        await self.ledger.many(20, 8, to="later{}@example.com")
        return took

    def kept_running(self, *, but: str = "") -> Verdict:
        """No process ended, but for the server that has to be started again, once."""
        now = {name: pid for pid, name in children(self.world).items()}
        ended = sorted(name for name, pid in self._before.items() if now.get(name) != pid and name != but)
        console = (self.world.home / "supervisor.log").read_text()
        again = console.count("starting it again")
        allowed = 1 if but else 0
        detail = f"ended: {ended}; started again {again} times{f' ({but})' if but and again else ''}"
        return Verdict("no crash loop", not ended and again <= allowed, detail)

    async def verdicts(self, took: float) -> list[Verdict]:
        """What must hold after every full disk."""
        # What was accepted meanwhile may be more than the small disk holds, and a rebuild has it twice for a while.
        await asyncio.to_thread(self.disk.grow, ENOUGH)
        statuses = await self.ledger.settled(within=90)
        return [
            Verdict("accepts again within 15 s without anybody's help", took <= 15, f"after {took:.1f} s"),
            await self.ledger.every_202_is_kept(),
            self.ledger.none_sticks(statuses),
            await self.ledger.copies_are_explained(await asyncio.to_thread(mailbox_messages, self.world)),
            await self.ledger.rebuilt_equals_live(),
        ]

    def says(self, *wanted: str) -> Verdict:
        """Say whether each of these processes' checks complained while the disk was full."""
        silent = [name for name in wanted if name not in self.unready]
        return Verdict("/readyz says so", not silent, f"silent: {silent}; said: {self.unready}")


async def log(size: Size, world: World | None) -> list[Verdict]:
    """Under the broker's store: nothing is accepted that is not on disk, and the broker comes back by itself."""
    if reason := await asyncio.to_thread(unavailable):
        return [Verdict("the whole scenario", None, reason)]
    async with _full("nats") as full:
        await full.begin()
        await full.knock(max(size.seconds, LONG_ENOUGH))
        first, promised = Counter(full.answers), len(full.ledger.accepted)
        took = await full.after()
        return [
            Verdict("503 and no 202", set(first) == {503}, f"{dict(first)} {sorted(full.texts)}"),
            full.says("gateway: broker", "dispatcher: broker"),
            full.kept_running(but="nats-server"),
            *await full.verdicts(took),
            Verdict("promised before", promised == 26, f"{promised}"),
        ]


async def postgres(size: Size, world: World | None) -> list[Verdict]:
    """Under Postgres: accepting and sending go on, nothing is lost, history catches up."""
    if reason := await asyncio.to_thread(unavailable):
        return [Verdict("the whole scenario", None, reason)]
    async with _full("postgres") as full:
        await full.begin()
        await full.knock(size.seconds / 2)
        await _use_up_the_wal(full.world)
        await full.knock(size.seconds / 2)
        arrived = await _arrived(full, within=20)
        first = Counter(full.answers)
        took = await full.after()
        return [
            Verdict("accepting and sending go on", set(first) == {202} and arrived, f"{dict(first)}"),
            full.says("projector: database"),
            full.kept_running(but="postgres"),
            *await full.verdicts(took),
        ]


async def content(size: Size, world: World | None) -> list[Verdict]:
    """Under the content store: what needs it is refused, what does not goes on, nothing is left half written."""
    if reason := await asyncio.to_thread(unavailable):
        return [Verdict("the whole scenario", None, reason)]
    async with _full("content") as full:
        await full.begin()
        large = os.urandom(LARGE // 2).hex()
        await full.knock(size.seconds / 2, text=large)
        refused = Counter(full.answers)
        full.answers.clear()
        await full.knock(size.seconds / 2)
        small = Counter(full.answers)
        took = await full.after()
        async with full.ledger.session() as session:
            await full.ledger.send(session, "large@example.com", text=large)
        verdicts = await full.verdicts(took)
        files = [path for path in full.disk.path.rglob("*") if path.is_file() and path.name != MARKER]
        left = [str(path.relative_to(full.disk.path)) for path in files]
        return [
            Verdict("large: 503 and no 202", set(refused) == {503}, f"{dict(refused)} {sorted(full.texts)}"),
            Verdict("small mail goes on", set(small) == {202}, f"{dict(small)}"),
            full.kept_running(),
            *verdicts,
            Verdict("nothing half written is left", len(left) == 1, f"for one large email: {left}"),
        ]


async def _use_up_the_wal(world: World) -> None:
    """Make Postgres ask for another file to write ahead into: it cannot go on without one."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        database = await asyncpg.connect(world.variables["SENDLOG_DATABASE_URL"], timeout=5)
        try:
            for _ in range(16):
                await database.execute("CHECKPOINT")
                await database.execute("SELECT pg_switch_wal()")
        finally:
            database.terminate()


async def _arrived(full: Full, within: float) -> bool:
    ended = time.monotonic() + within
    while time.monotonic() < ended:
        mailbox = await asyncio.to_thread(mailbox_messages, full.world)
        if all(made.message_id in mailbox for made in full.ledger.accepted.values()):
            return True
        await asyncio.sleep(0.5)
    return False


@asynccontextmanager
async def _full(directory: str) -> AsyncIterator[Full]:
    """Run a world of its own with a small disk under one of its directories."""
    home = servers.own_directory()
    disk: SmallDisk | None = None
    world = World(home)
    try:
        if directory == "postgres":  # its cluster must be made before
            await asyncio.to_thread(world.start)
            await asyncio.to_thread(world.stop)
        disk = await asyncio.to_thread(partial(SmallDisk, home / directory))
        await asyncio.to_thread(world.start)
        yield Full(world, disk)
    finally:
        await asyncio.to_thread(world.stop)
        if disk is not None:
            await asyncio.to_thread(disk.remove)
        _keep(home)
        shutil.rmtree(home, ignore_errors=True)


def _keep(home: Path) -> None:
    """Keep the logs of a run that somebody wants to look into."""
    if place := os.environ.get("SENDLOG_CHAOS_LOGS"):
        shutil.copytree(home / "logs", place, dirs_exist_ok=True)
        shutil.copy(home / "supervisor.log", place)
