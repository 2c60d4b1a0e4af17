"""Builds the scheduler: the only place that constructs its parts."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from services.scheduler import consumers
from services.scheduler.agenda import Agenda
from services.scheduler.flow import Flow
from services.scheduler.handlers import Handlers
from services.scheduler.releasing import Releaser
from services.scheduler.settings import Settings
from services.scheduler.speaking import Voice
from services.scheduler.store import PLANNER, Store
from services.scheduler.tidying import Tidier
from shared.runtime import consumer, log, postgres, process, settings, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account
from shared.runtime.health import Health, broker_check
from shared.runtime.publisher import Publisher

GRACE = 10.0
CONNECTIONS = 5


@asynccontextmanager
async def build() -> AsyncIterator[None]:
    """Run the scheduler for the length of the block."""
    async with assemble(settings.read(Settings, os.environ), lambda: datetime.now(UTC)):
        yield


@asynccontextmanager
async def assemble(wanted: Settings, clock: Callable[[], datetime]) -> AsyncIterator[None]:
    """Run a scheduler with these settings, telling the time by `clock`."""
    async with AsyncExitStack() as stack:
        client = await log.connect(wanted.nats_url, "scheduler")
        stack.push_async_callback(client.close)
        emails = log.Log(client)
        await emails.open()
        pool = await postgres.connect(wanted.database_url, size=CONNECTIONS, lazy=True, settings=PLANNER)
        stack.push_async_callback(pool.close)
        publisher = Publisher(emails)
        publisher.start()
        stack.push_async_callback(publisher.stop)
        accounts = Bucket(client, topology.ACCOUNTS, Account)
        await accounts.open()
        stack.push_async_callback(accounts.close)
        table, voice, agenda, flow = Store(pool), Voice(emails, publisher), Agenda(clock), Flow(accounts)
        await voice.learn_floor()
        broker = consumer.make_broker(wanted.nats_url, "scheduler")
        records = consumers.build(emails, broker, Handlers(table, emails, agenda, flow))
        releaser = Releaser(table, voice, agenda, flow, clock)
        tidier = Tidier(table, voice, agenda, flow, clock)
        records.start()
        stack.push_async_callback(consumer.stop_broker, broker)
        await consumer.start_broker(broker)
        stack.push_async_callback(records.stop, GRACE / 2)
        releaser.start()
        stack.push_async_callback(releaser.stop, GRACE)
        for loop in (tidier.look_for_ever(), tidier.tidy_for_ever()):
            await stack.enter_async_context(process.background(asyncio.create_task(loop)))
        health = Health()
        health.add("broker", broker_check(emails, publisher))
        health.add("database", table.check)
        await health.serve(wanted.health_host, wanted.health_port)
        stack.push_async_callback(health.stop)
        stack.callback(records.pause)
        yield
        health.stopping = True
