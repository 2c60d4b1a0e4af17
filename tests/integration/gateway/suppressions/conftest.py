"""A gateway with a migrated database, and a projector beside it that fills its lists."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from services.bootstrap import database as migrations
from services.projector import app as projector
from services.projector.settings import Settings
from tests.controls.gateways import Client, Gateways


@pytest.fixture
async def client(replicas: Gateways, database: str) -> Client:
    """Ask one gateway with all permissions of the workspace `default`."""
    await migrations.migrate(database, None)
    return await replicas.replica(await replicas.key(), database_url=database)


@pytest.fixture
async def projecting(
    replicas: Gateways, database: str, client: Client, tmp_path: Path
) -> AsyncIterator[None]:
    """Run a projector for the length of the test."""
    wanted = Settings(
        nats_url=replicas.nats_url,
        database_url=database,
        content_url=(tmp_path / "content").as_uri(),
        health_port=free_port(),
    )
    async with projector.assemble(wanted):
        yield
