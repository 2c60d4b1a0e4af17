"""Gateways on the run's servers, and a client with every permission at the door of one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controls import gateways


@pytest.fixture
async def replicas(
    clean_nats: str, postgres_server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[gateways.Gateways]:
    """Start as many gateways on one broker as a test asks for."""
    async with gateways.gateways(clean_nats, postgres_server, home, monkeypatch) as opened:
        yield opened


@pytest.fixture
async def client(replicas: gateways.Gateways) -> gateways.Client:
    """Ask one gateway with all permissions of the workspace `default`."""
    return await replicas.replica(await replicas.key())
