"""Accounts over the API: what may be opened, what is shown, and what holds on every replica."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from services.gateway.accounts import handlers
from shared.runtime import keyring
from tests.controls.gateways import ACCOUNT, Answer, Client, Gateways
from tests.integration.gateway.accounts.opening import opened, stored


async def test_an_account_is_shown_as_it_was_opened_and_never_with_its_secret(client: Client) -> None:
    wanted = ACCOUNT | {"username": "u", "password": "canary-of-a-secret", "limits": {"per_second": 5}}
    made = await client.ask("POST", "/accounts", wanted)
    assert made.status == 201
    assert made.data | {"id": 0, "created_at": 0, "updated_at": 0} == {
        "id": 0, "name": "relay", "host": "smtp.example.com", "port": 587, "tls": "starttls", "auth": "password",
        "username": "u", "has_secret": True, "tls_ca": None,
        "identities": [{"address": "hello@example.com", "name": "Hello", "dkim": []}],
        "limits": {"connections": 10, "per_second": 5, "per_minute": None, "per_hour": None, "per_day": None},
        "ambiguity": "at_least_once",
        "tracking": {"opens": True, "clicks": True, "delivery": True, "read": False},
        "return_path_domain": None, "leave_one_time_links": False, "imap": None, "disabled": False, "default": True, "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    read = await client.ask("GET", f"/accounts/{made.data['id']}")
    assert read.data == made.data
    listed = await client.ask("GET", "/accounts")
    assert (listed.data, listed.body["meta"]["total"]) == ([made.data], 1)
    for answer in (made, read, listed):
        assert "canary" not in answer.text


async def test_a_secret_is_sealed_for_its_workspace_and_account_alone(
    client: Client, replicas: Gateways, home: Any
) -> None:
    account = await opened(client, username="u", secret="canary-of-a-secret", auth="xoauth2")
    sealed = (await stored(replicas, account["id"])).smtp.secret
    assert sealed is not None
    assert "canary" not in sealed
    ring = keyring.load(home / "keyring")
    assert ring.open(sealed, "default", account["id"]) == "canary-of-a-secret"
    with pytest.raises(keyring.KeyringError):
        ring.open(sealed, "another", account["id"])


async def test_a_secret_is_in_no_answer_to_a_request_that_is_wrong(client: Client) -> None:
    for wrong in (
        {"password": "canary\r\n"},
        {"password": {"a": "canary"}},
        {"username": None, "password": "canary"},
    ):
        answer = await client.ask("POST", "/accounts", ACCOUNT | wrong)
        assert answer.status == 400
        assert "canary" not in answer.text


async def test_an_account_opened_here_is_there_at_once(replicas: Gateways) -> None:
    here = await replicas.replica(await replicas.key())
    there = await replicas.replica(here.token)
    for _ in range(10):
        account = await opened(here)
        assert (await there.ask("GET", f"/accounts/{account['id']}")).status == 200
        assert account["id"] in {entry["id"] for entry in (await there.ask("GET", "/accounts")).data}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1",
     "0.0.0.0", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "fc00::1", "１２７.0.0.1"],
)  # fmt: skip
async def test_an_address_users_may_not_make_us_connect_to_is_refused(client: Client, host: str) -> None:
    answer = await client.ask("POST", "/accounts", ACCOUNT | {"host": host})
    assert (answer.status, list(answer.problems)) == (400, ["$.host"])


async def test_a_change_cannot_lead_to_a_refused_address_either(client: Client) -> None:
    account = await opened(client)
    answer = await client.ask("PATCH", f"/accounts/{account['id']}", {"host": "169.254.169.254"})
    assert (answer.status, list(answer.problems)) == (400, ["$.host"])
    assert "metadata" in answer.problems["$.host"]


async def test_a_network_the_operator_names_is_allowed(replicas: Gateways) -> None:
    client = await replicas.replica(await replicas.key(), allow_networks="127.0.0.0/8")
    assert (await opened(client, host="127.0.0.1"))["host"] == "127.0.0.1"
    assert (await client.ask("POST", "/accounts", ACCOUNT | {"host": "10.0.0.1"})).status == 400


@pytest.mark.parametrize("host", ["[::1]", ":::", "a:b", "1.2.3.4:25", "smtp.example.com:25"])
async def test_what_looks_like_an_address_and_is_none_is_refused(client: Client, host: str) -> None:
    answer = await client.ask("POST", "/accounts", ACCOUNT | {"host": host})
    assert (answer.status, list(answer.problems)) == (400, ["$.host"])


async def test_every_problem_of_an_account_is_told(client: Client) -> None:
    answer = await client.ask(
        "POST", "/accounts",
        {"host": "x", "port": 0, "tls": "ssl", "identities": [{"address": "a@b.test", "junk": 1}, {}], "limits": {"per_second": 0},
         "ambiguity": "never", "tracking": {"opens": 1}, "colour": "red"},
    )  # fmt: skip
    assert answer.problems == {
        "$.name": "is required",
        "$.port": "must be at least 1",
        "$.tls": "must be one of implicit, starttls, none",
        "$.identities[0].junk": "is not a field of this request",
        "$.identities[1].address": "is required",
        "$.limits.per_second": "must be at least 1",
        "$.ambiguity": "must be one of at_least_once, at_most_once",
        "$.tracking.opens": "must be true or false, not an integer",
        "$.colour": "is not a field of this request",
    }
    imap = await client.ask("POST", "/accounts", ACCOUNT | {"imap": {"host": "x"}, "host": "a b"})
    assert list(imap.problems) == ["$.imap.username", "$.imap.password", "$.host"]


async def test_the_first_account_is_the_default_until_another_is(client: Client) -> None:
    first, second = await opened(client), await opened(client)
    assert (first["default"], second["default"]) == (True, False)
    third = await opened(client, default=True)
    assert await defaults(client) == {first["id"]: False, second["id"]: False, third["id"]: True}
    assert (await client.ask("PATCH", f"/accounts/{second['id']}", {"default": True})).data["default"] is True
    assert await defaults(client) == {first["id"]: False, second["id"]: True, third["id"]: False}


async def test_a_workspace_names_no_default_that_is_gone(client: Client, replicas: Gateways) -> None:
    first, second = await opened(client), await opened(client)
    removed = await client.ask("DELETE", f"/accounts/{first['id']}")
    assert (removed.status, removed.data) == (200, first)
    assert await defaults(client) == {second["id"]: False}
    workspace = await replicas.workspaces.read("default")
    assert workspace is not None
    assert workspace[1].default_account_id is None
    assert (await client.ask("GET", f"/accounts/{first['id']}")).status == 404


async def defaults(client: Client) -> dict[str, bool]:
    return {entry["id"]: entry["default"] for entry in (await client.ask("GET", "/accounts")).data}


async def test_a_change_keeps_what_it_does_not_name(client: Client, replicas: Gateways) -> None:
    account = await opened(client, username="u", password="p")
    before = await stored(replicas, account["id"])
    changed = await client.ask(
        "PATCH", f"/accounts/{account['id']}", {"disabled": True, "limits": {"per_day": 100}}
    )
    assert changed.data == account | {
        "disabled": True, "limits": account["limits"] | {"per_day": 100}, "updated_at": changed.data["updated_at"],
    }  # fmt: skip
    assert (await stored(replicas, account["id"])).smtp == before.smtp


async def test_two_changes_at_once_both_hold(client: Client) -> None:
    account = await opened(client)
    path = f"/accounts/{account['id']}"
    await asyncio.gather(
        client.ask("PATCH", path, {"name": "new"}), client.ask("PATCH", path, {"port": 2525})
    )
    now = (await client.ask("GET", path)).data
    assert (now["name"], now["port"]) == ("new", 2525)


async def verified(client: Client) -> Answer:
    account = await opened(client)
    return await client.ask("POST", f"/accounts/{account['id']}/verify")


async def test_verify_asks_a_dispatcher_and_passes_on_what_it_found(
    client: Client, replicas: Gateways
) -> None:
    questions: list[dict[str, str]] = []
    report = {"ok": True, "checks": [{"name": "connect", "ok": True, "message": "ok"}]}

    async def dispatcher(message: Msg) -> None:
        questions.append(json.loads(message.data))
        await message.respond(msgspec.json.encode(report))

    await replicas.client.subscribe("verify.accounts", queue="dispatcher", cb=dispatcher)
    await replicas.client.flush()
    answer = await verified(client)
    assert (answer.status, answer.data) == (200, {**report, "dkim": [], "imap": None})
    (account,) = (await client.ask("GET", "/accounts")).data
    assert questions == [{"workspace": "default", "account_id": account["id"]}]


async def test_verify_without_a_dispatcher_is_503(client: Client) -> None:
    answer = await verified(client)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")


async def test_verify_with_a_dispatcher_that_is_silent_is_503(
    client: Client, replicas: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "VERIFY_WITHIN", 0.2)

    async def silent(_message: Msg) -> None:
        pass

    await replicas.client.subscribe("verify.accounts", queue="dispatcher", cb=silent)
    await replicas.client.flush()
    assert (await verified(client)).status == 503
