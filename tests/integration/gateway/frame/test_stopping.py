"""How a gateway stops: what is in hand is finished, nothing new is taken."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from deploy.local.ports import LOOPBACK, free_port
from services.gateway import app, log_room
from services.gateway.request import Reply, Request
from services.gateway.routes import TABLE
from tests.controls.eventually import eventually
from tests.controls.gateways import ACCOUNT, Gateways


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


def test_the_last_tenth_of_the_log_is_not_for_new_mail() -> None:
    assert log_room.has_room(899, 1000)
    assert not log_room.has_room(900, 1000)
    assert log_room.has_room(10**12, -1)


async def test_a_log_that_fills_up_is_noticed(replicas: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_room, "ASKED_EVERY", 0.05)
    client = await replicas.replica(await replicas.key())
    email = {"to": "ann@world.test", "subject": "s", "text": "t"}
    payload = b"x" * 900_000
    for number in range(68):  # over 90 % of the 64 MB of the test's log
        await replicas.client.jetstream().publish(f"emails.w.fill{number}.requested.now", payload)

    async def refused() -> bool:
        answer = await client.ask("POST", "/emails/send", email)
        return answer.status == 503 and "Retry-After" in answer.headers

    await client.ask("POST", "/accounts", ACCOUNT)
    assert await eventually(refused)
