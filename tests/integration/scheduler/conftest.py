"""A broker and a database that are set up for a scheduler, and a publisher beside it."""

from collections.abc import AsyncIterator

import pytest

from services.bootstrap import database as schemas
from shared.runtime import log
from shared.runtime.publisher import Publisher
from tests.controls import runtime


@pytest.fixture
async def nats_url(clean_nats: str) -> str:
    """URL of a broker with stream, consumers and buckets."""
    await runtime.bootstrap(clean_nats)
    return clean_nats


@pytest.fixture
async def database_url(database: str) -> str:
    """URL of a migrated database."""
    await schemas.migrate(database, None)
    return database


@pytest.fixture
async def world(nats_url: str) -> AsyncIterator[tuple[log.Log, Publisher]]:
    """The log and a publisher, as the gateway and the dispatcher have them."""
    async with runtime.open_log(nats_url) as opened:
        yield opened
