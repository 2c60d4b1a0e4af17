"""What a client is told when something of ours does not work, and what it is not told."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest
import structlog

from services.gateway import serving
from services.gateway.accounts import handlers
from services.gateway.request import Reply, Request
from services.gateway.routes import TABLE
from services.gateway.routing import Route
from shared.runtime import health
from shared.runtime.buckets import Bucket
from shared.runtime.log import BrokerUnavailable
from shared.runtime.publisher import LogFull, Unconfirmed
from tests.controls import gateways
from tests.controls.eventually import eventually
from tests.controls.gateways import ACCOUNT, Client, Gateways
from tests.controls.servers import NatsServer


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def rigged(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """Make reading an account fail with this."""

    async def fail(_request: Request) -> NoReturn:
        raise fault

    route = next(route for route in TABLE.routes if route.name == "GET /accounts/{id}")
    monkeypatch.setitem(route.__dict__, "handler", fail)


AN_ACCOUNT = "/accounts/0e6a3a52-0000-4000-8000-000000000001"


async def test_a_fault_of_ours_is_logged_once_and_not_described(
    client: Client, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    rigged(monkeypatch, KeyError("canary"))
    answer = await client.ask("GET", AN_ACCOUNT, X_Request_Id="r-1")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert "canary" not in answer.text
    (entry,) = [entry for entry in logged if entry["event"] == "request_failed"]
    assert (entry["request_id"], entry["route"]) == ("r-1", "GET /accounts/{id}")
    assert (await client.ask("GET", "/accounts")).status == 200


@pytest.mark.parametrize(
    "fault", [OSError("canary"), TimeoutError("canary"), ConnectionRefusedError("canary")]
)
async def test_a_database_that_does_not_answer_is_503(
    client: Client, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    rigged(monkeypatch, fault)
    answer = await client.ask("GET", AN_ACCOUNT)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "2")
    assert "canary" not in answer.text


@pytest.mark.parametrize("fault", [Unconfirmed("canary"), LogFull("canary")])
def test_an_email_without_confirmation_is_said_to_be_so_and_how_to_repeat(fault: Exception) -> None:
    send = next(route for route in TABLE.routes if route.name == "POST /emails/send")
    error = serving.explain(fault, send, "r")
    assert (error.status, error.code, error.headers["Retry-After"]) == (503, "UNAVAILABLE", "2")
    assert "not confirmed" in error.message
    assert "Idempotency-Key" in error.message


def test_without_an_idempotency_key_to_repeat_with_none_is_spoken_of() -> None:
    show = next(route for route in TABLE.routes if route.name == "GET /accounts/{id}")
    assert "Idempotency-Key" not in serving.explain(Unconfirmed("x"), show, "r").message


async def test_a_header_that_would_split_the_answer_is_a_fault_of_ours(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def split(_request: Request) -> Reply:
        return Reply({}, headers={"X-Name": "a\r\nSet-Cookie: b"})

    route = next(route for route in TABLE.routes if route.name == "GET /accounts/{id}")
    monkeypatch.setitem(route.__dict__, "handler", split)
    answer = await client.ask("GET", AN_ACCOUNT)
    assert answer.status == 500
    assert "Set-Cookie" not in answer.headers


async def test_a_gateway_without_its_broker_knows_its_keys_and_says_503_in_time(
    own_nats: NatsServer, postgres_server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateways.gateways(own_nats.url, postgres_server, home, monkeypatch) as replicas:
        client = await replicas.replica(await replicas.key())
        assert (await client.ask("GET", "/keys")).status == 200
        own_nats.kill()

        async def unavailable() -> bool:
            answer = await client.ask("GET", "/keys")
            return (answer.status, answer.code) == (503, "UNAVAILABLE") and answer.headers[
                "Retry-After"
            ] == "2"

        assert await eventually(unavailable)
        assert (await client.ask("POST", "/keys", {"x": 1})).status == 400
        assert (await client.by("sk_unknown").ask("GET", "/keys")).status == 503
        ready = await client.plain("GET", "/readyz")
        assert (ready.status, ready.body["checks"]["broker"]) == (503, "not connected to the broker")
        own_nats.start()

        async def back() -> bool:
            return (await client.ask("GET", "/keys")).status == 200

        assert await eventually(back, within=10)


async def test_a_silent_broker_keeps_no_known_key_waiting(
    own_nats: NatsServer, postgres_server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateways.gateways(own_nats.url, postgres_server, home, monkeypatch) as replicas:
        client = await replicas.replica(await replicas.key())
        assert (await client.ask("POST", "/accounts", ACCOUNT)).status == 201
        email = {"to": "ann@world.test", "subject": "s", "text": "t"}
        own_nats.pause()
        try:
            for _ in range(4):  # the second half meets buckets that know they are behind
                assert (await client.ask("POST", "/keys", {"x": 1})).status == 400
                started = time.monotonic()
                refused = await client.ask("POST", "/emails/send", email)
                assert (refused.status, refused.code) == (503, "UNAVAILABLE")
                assert time.monotonic() - started < 2.5
        finally:
            own_nats.resume()


async def test_a_gateway_without_its_database_is_ready_and_says_what_is_missing(replicas: Gateways) -> None:
    client = await replicas.replica(await replicas.key(), database_url="postgresql://nobody@127.0.0.1:1/none")
    ready = await client.plain("GET", "/readyz")
    assert ready.status == 200
    assert ready.body["ready"] is True
    assert ready.body["checks"]["database"] == "the database does not answer"
    assert (await client.ask("GET", "/accounts")).status == 200


async def test_a_check_that_fails_is_a_reason_and_tells_no_inside(logged: list[Any]) -> None:
    async def check() -> str | None:
        raise asyncpg.InvalidPasswordError("canary")

    told = health.Health()
    told.add("database", check, vital=False)
    assert await told.problems() == {"database": "the check itself failed; the log says how"}
    assert [entry["check"] for entry in logged if entry["event"] == "check_failed"] == ["database"]


@pytest.mark.parametrize(
    "fault",
    [
        asyncpg.InvalidPasswordError("canary"),
        asyncpg.InvalidAuthorizationSpecificationError("canary"),
        asyncpg.DiskFullError("canary"),
        asyncpg.TooManyConnectionsError("canary"),
        asyncpg.InternalClientError("canary"),
    ],
)
def test_a_database_that_lets_nobody_in_is_one_that_does_not_answer(fault: Exception) -> None:
    assert serving.explain(fault, None, "r").code == "UNAVAILABLE"


async def test_a_key_that_cannot_be_looked_up_says_that_nothing_was_tried(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: Bucket[Any]) -> NoReturn:
        raise BrokerUnavailable("canary")

    monkeypatch.setattr(Bucket, "catch_up", fail)
    answer = await client.by("sk_unknown").ask("POST", "/emails/send", {"to": "a@b.test"})
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "2")
    assert "nothing was tried" in answer.body["error"]["message"]
    assert "may" not in answer.body["error"]["message"]


@pytest.mark.parametrize("path", ["/docs", "/docs/docs.css", "/openapi.json", "/livez", "/readyz"])
async def test_a_page_has_a_request_id_too(client: Client, path: str) -> None:
    answer = await client.plain("GET", path, X_Request_Id="r-1")
    assert (answer.status, answer.headers["X-Request-Id"]) == (200, "r-1")
    first, second = await client.plain("GET", path), await client.plain("HEAD", path)
    assert len(first.headers["X-Request-Id"]) == 32
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


def test_the_handler_a_route_names_is_the_one_that_is_called() -> None:
    routes: dict[str, Route] = {route.name: route for route in TABLE.routes}
    assert routes["GET /accounts/{id}"].handler is handlers.show
