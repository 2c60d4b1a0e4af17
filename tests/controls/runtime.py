"""A log with its publisher, opened on a real broker for the length of a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.bootstrap import broker
from services.bootstrap.settings import Settings
from shared.runtime import log
from shared.runtime.publisher import Publisher


async def bootstrap(url: str) -> None:
    """Create stream, consumers and buckets."""
    await broker.ensure(Settings(nats_url=url, database_url="", log_bytes=1024**3))


@asynccontextmanager
async def open_log(url: str) -> AsyncIterator[tuple[log.Log, Publisher]]:
    """Connect and start a publisher; both end with the block."""
    client = await log.connect(url, "test")
    emails = log.Log(client)
    await emails.open()
    publisher = Publisher(emails)
    publisher.start()
    try:
        yield emails, publisher
    finally:
        await publisher.stop()
        await client.close()
