"""A migrated database with a pool of the projector's own role, and a projector to run on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.ports import free_port
from services.bootstrap import database as bootstrap
from services.projector.settings import Settings
from shared.runtime import postgres
from tests.controls import runtime


@pytest.fixture
async def migrated(database: str) -> str:
    await bootstrap.migrate(database, None)
    return database


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await postgres.connect(migrated, size=4)
    yield pool
    await pool.close()


@pytest.fixture
async def nats_url(clean_nats: str) -> str:
    await runtime.bootstrap(clean_nats)
    return clean_nats


@pytest.fixture
def wanted(nats_url: str, migrated: str, tmp_path: Path) -> Settings:
    return Settings(
        nats_url=nats_url,
        database_url=migrated,
        content_url=(tmp_path / "content").as_uri(),
        health_port=free_port(),
    )
