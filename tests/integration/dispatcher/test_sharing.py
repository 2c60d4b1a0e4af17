"""Two dispatchers, one account: what its next hop bears is shared, also when one of them is killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from services.bootstrap import database as schemas
from shared.events import delivery
from shared.events.record import Record
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from tests.controls import dispatching, runtime, scheduling
from tests.controls.dispatching import an_account, history, messages, with_limits
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.servers import MailboxAddress, Process

PER_SECOND = 10
CHUNK = 5
PER_DAY = 20


class World(NamedTuple):
    log: Log
    publisher: Publisher
    mailbox: MailboxAddress
    home: Path
    nats: str


@pytest.fixture
async def world(clean_nats: str, mailbox: MailboxAddress, home: Path) -> AsyncIterator[World]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as (log, publisher):
        yield World(log, publisher, mailbox, home, clean_nats)


@asynccontextmanager
async def two_dispatchers(world: World, **limits: int) -> AsyncIterator[tuple[Process, Process]]:
    """Run two dispatchers for the length of the block on one account with these limits."""
    await dispatching.store(world.log, with_limits(an_account(world.mailbox.smtp_port), **limits))
    one, two = (dispatching.a_dispatcher(world.home, world.nats, name) for name in ("one", "two"))
    await asyncio.gather(asyncio.to_thread(one.start), asyncio.to_thread(two.start))
    try:
        yield one, two
    finally:
        for process in (one, two):
            await asyncio.to_thread(process.kill)


async def requested(world: World, count: int) -> list[Record]:
    """Ask for that many emails at once."""
    items = [a_request(f"shared{number}@world.test") for number in range(count)]
    await asyncio.gather(*(world.publisher.append(item, guard=0) for item in items))
    return items


def arrivals(world: World) -> list[datetime]:
    """Return when each message arrived, in order."""
    return sorted(datetime.fromisoformat(found["received_at"]) for found in messages(world.mailbox.url))


def recipients(world: World) -> set[str]:
    """Return everybody who got something."""
    return {to for found in messages(world.mailbox.url) for to in found["rcpt_to"]}


async def test_together_they_keep_the_limit_per_second_and_one_that_dies_loses_nothing(
    world: World, database: str
) -> None:
    await schemas.migrate(database, None)
    async with (  # the scheduler brings back what found no slot soon
        scheduling.scheduling(world.nats, database),
        two_dispatchers(world, per_second=PER_SECOND) as (one, _),
    ):
        await requested(world, 60)
        await eventually(lambda: len(arrivals(world)) >= 25, within=20)
        await asyncio.to_thread(one.kill)
        everybody = {f"shared{number}@world.test" for number in range(60)}
        await eventually(lambda: recipients(world) >= everybody, within=60, every=0.2)
    times = arrivals(world)
    fullest = max(sum(start <= t < start + timedelta(seconds=1) for t in times) for start in times)
    assert fullest <= PER_SECOND + CHUNK


async def test_together_they_keep_the_limit_per_day_and_the_rest_waits_for_the_next(world: World) -> None:
    day = datetime.now(UTC).date()
    async with two_dispatchers(world, per_day=PER_DAY):
        items = await requested(world, 30)

        async def ends() -> list[delivery.Sent | delivery.Deferred]:
            last = [(await history(world.log, item))[-1].event for item in items]
            return [event for event in last if isinstance(event, delivery.Sent | delivery.Deferred)]

        async def all_ended() -> bool:
            return len(await ends()) == len(items)

        await eventually(all_ended, within=20, every=0.2)
        ended = await ends()
    if datetime.now(UTC).date() != day:
        pytest.skip("midnight came in between: two days were used")
    waiting = [event for event in ended if isinstance(event, delivery.Deferred)]
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    assert 0 < len(arrivals(world)) <= PER_DAY
    assert len(waiting) == len(items) - len(arrivals(world))
    for event in waiting:
        assert event.reason is not None
        assert event.reason.code == "rate_limited"
        assert midnight <= event.next_attempt_at < midnight + timedelta(seconds=1)
