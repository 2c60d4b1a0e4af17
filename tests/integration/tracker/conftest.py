"""A tracker of each test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.integration.tracker.hits import Desk, a_desk


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on the loop that the tracker runs on: its transports are of none of asyncio's classes."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def desk(home: Path, clean_nats: str) -> AsyncIterator[Desk]:
    """A running tracker, whose database is not there: no hit of an email in the log needs it."""
    async with a_desk(home, clean_nats) as running:
        yield running
