"""Builds the projector: the only place that constructs its parts."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg

from services.projector import chores, consumers, reach, suppressions
from services.projector.expiry import Sweeper
from services.projector.handlers import Handlers
from services.projector.health import broker_check, database_check, records_check
from services.projector.orphans import Orphans
from services.projector.settings import Connections, Settings
from services.projector.trimming import Trimmer
from shared.runtime import consumer, log, postgres, process, settings
from shared.runtime.content import ContentStore
from shared.runtime.health import Health

GRACE = 10.0


@asynccontextmanager
async def connections(wanted: Connections) -> AsyncIterator[tuple[asyncpg.Pool, log.Log]]:
    """Connect to the database and the log for the length of the block; the database may come later."""
    client = await log.connect(wanted.nats_url, "projector")
    pool = await postgres.connect(wanted.database_url, size=4, lazy=True)
    try:
        emails = log.Log(client)
        await emails.open()
        yield pool, emails
    finally:
        await _close(pool)
        await client.close()


async def _close(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(3):
            await pool.close()
    except (TimeoutError, *postgres.UNAVAILABLE):  # a database that does not answer is left without a word
        pool.terminate()


@asynccontextmanager
async def build() -> AsyncIterator[None]:
    """Run the projector for the length of the block."""
    async with assemble(settings.read(Settings, os.environ)):
        yield


@asynccontextmanager
async def assemble(wanted: Settings) -> AsyncIterator[Handlers]:
    """Run a projector with these settings for the length of the block."""
    async with AsyncExitStack() as stack:
        pool, emails = await stack.enter_async_context(connections(wanted))
        handlers = Handlers(pool, content_days=wanted.content_days)
        broker = consumer.make_broker(wanted.nats_url, "projector")
        records = consumers.build(emails, broker, handlers)
        lister = suppressions.Lister(pool, emails.client)
        listed = lister.consumer(emails, broker)
        for source in (records, listed):
            source.start()
            stack.push_async_callback(source.stop, GRACE)
        stack.push_async_callback(consumer.stop_broker, broker)
        await consumer.start_broker(broker)
        stack.callback(records.pause)
        stack.callback(listed.pause)
        for chore in _chores(pool, emails, lister, wanted):
            await stack.enter_async_context(process.background(chore))
        health = Health()
        health.add("broker", broker_check(emails))
        health.add("database", database_check(pool, handlers))
        health.add("records", records_check(records))
        health.add("suppressions", records_check(listed))
        await health.serve(wanted.health_host, wanted.health_port)
        stack.push_async_callback(health.stop)
        yield handlers
        health.stopping = True


def _chores(
    pool: asyncpg.Pool, emails: log.Log, lister: suppressions.Lister, wanted: Settings
) -> list[asyncio.Task[None]]:
    content = ContentStore(wanted.content_url)
    hot = timedelta(hours=wanted.hot_hours)
    trimmer = Trimmer(pool, emails.client, hot=hot, most=wanted.hot_emails)
    chores_ = (
        (2.0, "progress", reach.Clock(pool, emails.client).tick),
        (2.0, "suppressions", lister.tick),
        (10.0, "trim", trimmer.trim),
        (60.0, "stretches", trimmer.forget),
        (60.0, "expiry", Sweeper(pool, content).sweep),
        (3600.0, "orphans", Orphans(pool, content).sweep),
    )
    return [asyncio.create_task(chores.every(*chore), name=chore[1]) for chore in chores_]
