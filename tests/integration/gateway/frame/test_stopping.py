"""How a gateway stops: what is in hand is finished, nothing new is taken."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from deploy.local.ports import LOOPBACK, free_port
from services.gateway import app
from services.gateway.request import Reply, Request
from services.gateway.routes import TABLE
from tests.controls.eventually import eventually
from tests.controls.gateways import Gateways


async def test_a_request_in_hand_is_answered_while_the_gateway_stops(
    replicas: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await replicas.key()
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Reply:
        arrived.set()
        await go_on.wait()
        return Reply({"slow": True})

    route = next(route for route in TABLE.routes if route.name == "GET /keys")
    monkeypatch.setitem(route.__dict__, "handler", slow)
    stack = AsyncExitStack()
    replicas.set_environment(gateway_port=(port := free_port()), health_port=(health := free_port()))
    await stack.enter_async_context(app.build())
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(_get(session, f"http://{LOOPBACK}:{port}/api/v1/keys", headers))
        await arrived.wait()
        stopping = asyncio.create_task(stack.aclose())

        async def is_red() -> bool:
            status, body = await _get(session, f"http://{LOOPBACK}:{health}/readyz", {})
            return status == 503 and body["checks"]["process"] == "stopping"

        assert await eventually(is_red)
        with pytest.raises(aiohttp.ClientConnectorError):
            await _get(session, f"http://{LOOPBACK}:{port}/livez", {})
        assert not stopping.done()
        go_on.set()
        assert await asked == (200, {"success": True, "data": {"slow": True}})
        await stopping


async def _get(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with session.get(url, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)
