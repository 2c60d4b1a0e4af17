"""C15: the wall clock jumps an hour ahead and back while mail is scheduled."""

import asyncio
import random
import shutil
from datetime import UTC, datetime, timedelta

from services.bootstrap import database
from services.scheduler import app
from services.scheduler.settings import Settings
from shared.events import schedule
from shared.events.record import Record
from shared.runtime.log import Log
from tests.chaos.ledger import Verdict
from tests.chaos.scenario import Size
from tests.controls import dispatching, runtime, servers
from tests.controls.emails import a_request
from tests.controls.world import World

JUMP = timedelta(hours=1)


class Clock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


async def run(size: Size, world: World | None) -> list[Verdict]:
    """A scheduler on a clock of its own, real broker and database: nothing lost, doubled, or too early."""
    directory = servers.own_directory()
    broker, postgres = servers.NatsServer(directory), servers.PostgresServer(directory)
    try:
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(postgres.start)
        await runtime.bootstrap(broker.url)
        await database.migrate(postgres.url, None)
        async with runtime.open_log(broker.url) as (log, publisher):
            await dispatching.store(log, dispatching.with_limits(dispatching.an_account(25), connections=500))
            clock = Clock()
            wanted = Settings(nats_url=broker.url, database_url=postgres.url, health_port=0)
            async with app.assemble(wanted, clock):
                near, far = _scheduled(2.0, 6.0), _scheduled(1800.0, 1900.0)
                await asyncio.gather(*(publisher.append(item, guard=0) for item in (*near, *far)))
                await asyncio.sleep(3)
                before = await _releases(log, far)
                clock.offset = JUMP  # ahead: what is due within the hour leaves now
                await asyncio.sleep(2)
                clock.offset = -JUMP  # and back: nothing leaves twice
                late = _scheduled(-3590.0, -3580.0)  # due soon by the clock that is an hour behind
                await asyncio.gather(*(publisher.append(item, guard=0) for item in late))
                await asyncio.sleep(2)
                clock.offset = timedelta(0)
                await asyncio.sleep(3)
                every = (*near, *far, *late)
                counts = [len(await _releases(log, [item])) for item in every]
    finally:
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(postgres.kill)
        shutil.rmtree(directory, ignore_errors=True)
    return [
        Verdict("nothing early before the jump", not before, f"{len(before)} of {len(far)}"),
        Verdict("nothing lost", 0 not in counts, f"{counts.count(0)} of {len(counts)} not released"),
        Verdict("nothing doubled", max(counts) == 1, f"at most {max(counts)} releases of one email"),
    ]


def _scheduled(soonest: float, latest: float, count: int = 40) -> list[Record]:
    now = datetime.now(UTC)
    return [
        a_request(release="at", scheduled_at=now + timedelta(seconds=random.uniform(soonest, latest)))
        for _ in range(count)
    ]


async def _releases(log: Log, items: list[Record]) -> list[Record]:
    return [
        found
        for item in items
        for found in await log.history(item.workspace, item.email_id)
        if isinstance(found.event, schedule.Released)
    ]
