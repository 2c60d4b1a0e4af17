"""One gateway for each file of tests of /emails, and a workspace of its own for each test."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from tests.controls import servers
from tests.integration.gateway.emails import door as doors


class House(NamedTuple):
    """Where a running gateway listens, its servers, where it keeps its things, and its process."""

    url: str
    nats_url: str
    database_url: str
    home: Path
    pid: int


@pytest.fixture(scope="module")
def house(nats_server: str, postgres_server: str) -> Iterator[House]:
    """A running gateway on the run's servers, with a database of its own."""
    name = f"emails_{uuid.uuid4().hex[:8]}"
    database_url = postgres_server.rpartition("/")[0] + f"/{name}"

    async def prepare() -> None:
        connection = await asyncpg.connect(postgres_server)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        await connection.close()
        await doors.prepare(nats_server, database_url)

    asyncio.run(prepare())
    home = servers.own_directory()
    gateway = doors.Gateway(nats_server, database_url, home).start()
    yield House(gateway.url, nats_server, database_url, home, gateway.pid)
    gateway.stop()
    servers.remove(home)


@pytest.fixture
async def behind(house: House) -> AsyncIterator[doors.Behind]:
    """The log and the read model, beside the gateway."""
    async with doors.behind(house.nats_url, house.database_url) as opened:
        yield opened


@pytest.fixture
async def door(behind: doors.Behind, house: House) -> AsyncIterator[doors.Door]:
    """A client of the test's own workspace."""
    async with doors.open_door(behind, house.url) as opened:
        yield opened
