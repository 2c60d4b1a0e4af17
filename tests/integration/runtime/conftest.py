"""A client of a broker that has what the services need."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.runtime import log
from tests.controls import runtime


@pytest.fixture
async def client(clean_nats: str) -> AsyncIterator[Client]:
    await runtime.bootstrap(clean_nats)
    opened = await log.connect(clean_nats, "test")
    yield opened
    await opened.close()
