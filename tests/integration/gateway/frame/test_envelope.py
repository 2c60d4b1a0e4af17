"""What every answer carries, whatever it is about."""

import re

import pytest
from prometheus_client import generate_latest

from services.gateway import rate_limit
from tests.controls.gateways import Client, Gateways


@pytest.mark.parametrize("path", ["/", "/api/v1", "/api/v1/emails/", "/api/v1/domains",
                                  "/api/v1/webhooks", "/api/v1/privacy", "/docs/", "/%00", "/api/v1/emails%2Fsend"])  # fmt: skip
async def test_a_path_that_is_nowhere_answers_the_envelope(client: Client, path: str) -> None:
    answer = await client.plain("GET", path)
    assert (answer.status, answer.code) == (404, "NOT_FOUND")
    assert answer.body["success"] is False
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]


async def test_a_wrong_method_answers_the_envelope_and_the_right_ones(client: Client) -> None:
    answer = await client.ask("PUT", "/accounts")
    assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


async def test_head_is_get_without_its_body(client: Client) -> None:
    answer = await client.ask("HEAD", "/keys")
    assert (answer.status, answer.text) == (200, "")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 128])
async def test_a_sane_request_id_comes_back(client: Client, given: str) -> None:
    answer = await client.ask("GET", "/keys", X_Request_Id=given)
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a;b", "ä", "<script>"])
async def test_any_other_request_id_is_replaced(client: Client, given: str) -> None:
    answer = await client.ask("GET", "/nowhere", X_Request_Id=given)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]


async def test_whoever_accepts_problem_json_gets_rfc_9457(client: Client) -> None:
    answer = await client.ask("POST", "/keys", {"x": 1}, Accept="application/problem+json", X_Request_Id="r1")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body == {
        "type": "/docs#VALIDATION_ERROR",
        "title": "Bad Request",
        "status": 400,
        "detail": "the request is not valid; see details",
        "code": "VALIDATION_ERROR",
        "request_id": "r1",
        "details": [
            {"path": "$.x", "message": "is not a field of this request"},
            {"path": "$.name", "message": "is required"},
            {"path": "$.permissions", "message": "is required"},
        ],
    }


async def test_every_authenticated_answer_tells_the_limit(replicas: Gateways) -> None:
    client = await replicas.replica(await replicas.key(rate_limit=100))
    first = await client.ask("GET", "/keys")
    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("100", "99")
    assert first.headers["RateLimit-Reset"] == "1"
    refused = await client.ask("POST", "/keys", {})
    assert (refused.status, refused.headers["RateLimit-Remaining"]) == (400, "98")
    anonymous = await client.by(None).ask("GET", "/keys")
    assert "RateLimit-Limit" not in anonymous.headers


async def test_a_key_over_its_limit_waits_and_others_do_not(replicas: Gateways) -> None:
    client = await replicas.replica(await replicas.key(rate_limit=2))
    statuses = [(await client.ask("GET", "/keys")).status for _ in range(3)]
    over = await client.ask("GET", "/keys")
    assert statuses == [200, 200, 429]
    assert (over.code, over.headers["RateLimit-Remaining"]) == ("RATE_LIMITED", "0")
    assert 1 <= int(over.headers["Retry-After"]) <= rate_limit.MINUTE / 2
    assert (await client.by(await replicas.key()).ask("GET", "/keys")).status == 200


async def test_a_limit_counts_what_is_refused_for_its_permission_too(replicas: Gateways) -> None:
    client = await replicas.replica(await replicas.key("default", "email.send", rate_limit=1))
    assert [(await client.ask("GET", "/keys")).status for _ in range(2)] == [403, 429]


async def test_requests_are_counted_by_route_and_status(client: Client) -> None:
    await client.ask("GET", "/accounts/not-a-uuid")
    await client.plain("GET", "/chosen-by-a-client")
    told = generate_latest().decode()
    assert 'sendlog_http_requests_total{route="GET /accounts/{id}",status="400"}' in told
    assert 'sendlog_http_request_seconds_bucket{le="+Inf",route="none"}' in told
    assert "chosen-by-a-client" not in told
