"""A tracker of each test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.tracker.hits import Desk, a_desk


@pytest.fixture
async def desk(home: Path, clean_nats: str) -> AsyncIterator[Desk]:
    """A running tracker, whose database is not there: no hit of an email in the log needs it."""
    async with a_desk(home, clean_nats) as running:
        yield running
