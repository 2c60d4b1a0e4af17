"""A name server of the test's own, and a gateway that asks it."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.msg import Msg

from tests.controls.dns_server import DnsServer, dns_server
from tests.controls.gateways import Client, Gateways


@pytest.fixture
async def names() -> AsyncIterator[DnsServer]:
    """A name server of the test's own."""
    async with dns_server() as server:
        yield server


@pytest.fixture
async def asking(replicas: Gateways, names: DnsServer) -> Client:
    """A gateway that asks this name server, and a dispatcher that finds nothing wrong."""

    async def dispatcher(message: Msg) -> None:
        await message.respond(b'{"ok":true,"checks":[]}')

    await replicas.client.subscribe("verify.accounts", queue="dispatcher", cb=dispatcher)
    await replicas.client.flush()
    return await replicas.replica(await replicas.key(), dns_servers=names.address)
