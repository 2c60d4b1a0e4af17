"""A migrated database, one for all these tests and emptied for each, and what a projector needs besides."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import servers as command_lines
from deploy.local.ports import free_port
from services.bootstrap import database as bootstrap
from services.projector.settings import Settings
from shared.runtime import postgres
from tests.controls import runtime, servers

_TABLES = "emails, events, contents, objects, expiries, stretches, suppressions, counts"


@pytest.fixture(scope="session")
def _migrated(_postgres: servers.PostgresServer) -> Iterator[str]:
    name = f"projector_{os.getpid()}"
    command_lines.create_database(_postgres.postgres, name, template="template0")
    url = _postgres.postgres.url(database=name)
    asyncio.run(bootstrap.migrate(url, None))
    yield url
    command_lines.drop_database(_postgres.postgres, name)


@pytest.fixture
async def pool(_migrated: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await postgres.connect(_migrated, size=4)
    await empty(pool)
    yield pool
    await pool.close()


async def empty(pool: asyncpg.Pool) -> None:
    await pool.execute("".join(f"TRUNCATE projector.{table};" for table in _TABLES.split(", ")))
    await pool.execute("UPDATE projector.progress SET sequence = 0, projected_at = 'epoch'")


async def damage(pool: asyncpg.Pool, table: str, change: str, *, rows: int = 20) -> None:
    """Make rows wrong, here and there. One by one: whoever locks several in no order waits in a circle with others."""
    somewhere = f"(SELECT ctid FROM projector.{table} ORDER BY random() LIMIT 1)"
    for _ in range(rows):
        await pool.execute(f"UPDATE projector.{table} SET {change} WHERE ctid = {somewhere}")


async def catch_up(pool: asyncpg.Pool) -> None:
    """Have the read model complete up to now, as the projector's clock does."""
    await pool.execute("UPDATE projector.progress SET projected_at = now()")


@pytest.fixture
async def nats_url(clean_nats: str) -> str:
    await runtime.bootstrap(clean_nats)
    return clean_nats


@pytest.fixture
def wanted(nats_url: str, _migrated: str, pool: asyncpg.Pool, tmp_path: Path) -> Settings:
    return Settings(
        nats_url=nats_url,
        database_url=_migrated,
        content_url=(tmp_path / "content").as_uri(),
        health_port=free_port(),
    )
