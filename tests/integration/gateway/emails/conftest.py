"""A gateway with one workspace for each test of /emails."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.integration.gateway.emails import door as doors


@pytest.fixture
async def behind(clean_nats: str, database: str) -> AsyncIterator[doors.Behind]:
    """The log and the read model, beside the gateway."""
    async with doors.behind(clean_nats, database) as opened:
        yield opened


@pytest.fixture
async def door(
    behind: doors.Behind, clean_nats: str, database: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[doors.Door]:
    """A client of the workspace `default`."""
    token, _ = await behind.workspace("default")
    async with (
        doors.gateway(clean_nats, database, home, monkeypatch) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield doors.Door(url, token, session)
