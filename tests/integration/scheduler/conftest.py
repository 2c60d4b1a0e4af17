"""A broker and a database that are set up for a scheduler, and a publisher beside it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from deploy.local import servers
from services.bootstrap import database as schemas
from services.scheduler import tidying
from shared.runtime import log
from shared.runtime.publisher import Publisher
from tests.controls import runtime
from tests.controls.servers import PostgresServer


@pytest.fixture(autouse=True)
def _tidies_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits five seconds for a scheduler of this process to tidy up."""
    monkeypatch.setattr(tidying, "TIDY_EVERY", 0.3)


@pytest.fixture
async def nats_url(clean_nats: str) -> str:
    """URL of a broker with stream, consumers and buckets."""
    await runtime.bootstrap(clean_nats)
    return clean_nats


@pytest.fixture(scope="package")
def _migrated(_postgres: PostgresServer) -> Iterator[str]:
    """URL of a database with all schemas, one for all tests of the scheduler."""
    server = _postgres.postgres
    servers.create_database(server, "scheduler", template="template0")
    url = server.url(database="scheduler")
    asyncio.run(schemas.migrate(url, None))
    yield url
    servers.drop_database(server, "scheduler")


@pytest.fixture
async def database_url(_migrated: str) -> str:
    """URL of a migrated database without a row."""
    connection = await asyncpg.connect(_migrated)
    await connection.execute("TRUNCATE scheduler.waiting, scheduler.lanes, scheduler.holds")
    await connection.close()
    return _migrated


@pytest.fixture
async def world(nats_url: str) -> AsyncIterator[tuple[log.Log, Publisher]]:
    """The log and a publisher, as the gateway and the dispatcher have them."""
    async with runtime.open_log(nats_url) as opened:
        yield opened
