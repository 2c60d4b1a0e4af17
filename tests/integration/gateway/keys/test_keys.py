"""API keys over the API: shown once, granted no more than their maker has, and true on every replica."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.gateway import authentication
from shared.runtime import topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import PERMISSIONS, hash_token
from tests.controls.eventually import eventually
from tests.controls.gateways import Client, Gateways

WANTED: dict[str, Any] = {"name": "ci", "permissions": ["keys.read", "keys.write"]}


async def make(client: Client, **given: Any) -> dict[str, Any]:
    answer = await client.ask("POST", "/keys", WANTED | given)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.data
    return made


async def test_a_token_is_shown_once_and_kept_as_a_hash(client: Client, replicas: Gateways) -> None:
    made = await make(client, environment="staging", rate_limit=5, expires_at="2100-01-01T00:00:00+02:00")
    token = made.pop("key")
    assert token.startswith("sk_")
    assert len(token) >= 46
    assert made["expires_at"] == "2099-12-31T22:00:00Z"
    shown = await client.ask("GET", f"/keys/{made['id']}")
    listed = await client.ask("GET", "/keys")
    assert shown.data == made
    assert listed.data[-1] == made
    assert token not in shown.text + listed.text
    stored = await replicas.client.jetstream().get_msg(
        f"KV_{topology.KEYS}", subject=f"$KV.{topology.KEYS}.{hash_token(token)}"
    )
    assert token[3:] not in str(stored)


async def test_a_key_made_here_works_at_once_there(replicas: Gateways) -> None:
    here = await replicas.replica(await replicas.key())
    there = await replicas.replica()
    for _ in range(20):
        made = await make(here)
        assert (await there.by(made["key"]).ask("GET", "/keys")).status == 200
        assert (await there.by(here.token).ask("GET", f"/keys/{made['id']}")).status == 200


@pytest.fixture
async def deaf(replicas: Gateways, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A replica whose watch brings nothing, as was seen for 17 s after a broker's restart."""

    async def nothing(_self: Bucket[Any]) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "_watch", nothing)
        return await replicas.replica()


async def test_a_key_works_at_once_also_where_the_watch_is_late(replicas: Gateways, deaf: Client) -> None:
    here = await replicas.replica(await replicas.key())
    made = await make(here)
    assert (await deaf.by(made["key"]).ask("GET", "/keys")).status == 200
    assert made["id"] in {key["id"] for key in (await deaf.by(here.token).ask("GET", "/keys")).data}


async def test_a_revoked_key_is_refused_everywhere_when_that_was_answered(
    replicas: Gateways, deaf: Client
) -> None:
    here = await replicas.replica(await replicas.key())
    made = await make(here)
    elsewhere = [here.by(made["key"]), deaf.by(made["key"]), (await replicas.replica()).by(made["key"])]
    assert [(await client.ask("GET", "/keys")).status for client in elsewhere] == [200, 200, 200]
    removed = await here.ask("DELETE", f"/keys/{made['id']}")
    assert (removed.status, removed.data["id"], removed.data["name"]) == (200, made["id"], "ci")
    assert [(await client.ask("GET", "/keys")).status for client in elsewhere] == [401, 401, 401]
    assert (await here.ask("GET", f"/keys/{made['id']}")).status == 404
    assert (await here.ask("DELETE", f"/keys/{made['id']}")).status == 404


async def test_a_change_is_judged_by_everywhere_when_it_was_answered(
    replicas: Gateways, deaf: Client
) -> None:
    here = await replicas.replica(await replicas.key())
    made = await make(here)
    weak = deaf.by(made["key"])
    assert (await weak.ask("GET", "/keys")).status == 200
    changed = await here.ask("PATCH", f"/keys/{made['id']}", {"permissions": ["keys.write"], "rate_limit": 7})
    assert changed.data == {k: v for k, v in made.items() if k != "key"} | {
        "permissions": ["keys.write"], "rate_limit": 7, "last_used_at": changed.data["last_used_at"],
    }  # fmt: skip
    answer = await weak.ask("GET", "/keys")
    assert (answer.status, answer.headers["RateLimit-Limit"]) == (403, "7")


async def test_two_changes_at_once_both_hold(client: Client) -> None:
    made = await make(client)
    path = f"/keys/{made['id']}"
    answers = await asyncio.gather(
        client.ask("PATCH", path, {"name": "new"}),
        client.ask("PATCH", path, {"environment": "prod"}),
        client.ask("PATCH", path, {"rate_limit": 9}),
    )
    assert [answer.status for answer in answers] == [200, 200, 200]
    now = (await client.ask("GET", path)).data
    assert (now["name"], now["environment"], now["rate_limit"]) == ("new", "prod", 9)


async def test_a_key_grants_nothing_its_maker_lacks(client: Client, replicas: Gateways) -> None:
    weak = client.by(await replicas.key("default", "keys.write", "email.send"))
    refused = await weak.ask("POST", "/keys", WANTED | {"permissions": ["email.send", "privacy.write"]})
    assert (refused.status, refused.code) == (403, "FORBIDDEN")
    assert "privacy.write" in refused.body["error"]["message"]
    made = (await weak.ask("POST", "/keys", WANTED | {"permissions": ["email.send"]})).data
    raised = await weak.ask("PATCH", f"/keys/{made['id']}", {"permissions": ["email.send", "events.read"]})
    assert raised.status == 403


async def test_a_key_ends_at_its_time(client: Client, replicas: Gateways) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    made = await make(client, expires_at=soon)
    assert (await client.by(made["key"]).ask("GET", "/keys")).status == 200

    async def ended() -> bool:
        return (await client.by(made["key"]).ask("GET", "/keys")).status == 401

    assert await eventually(ended)


async def test_every_problem_of_a_key_is_told(client: Client) -> None:
    answer = await client.ask(
        "POST", "/keys",
        {"name": "a\nb", "permissions": ["email.send", "root"], "expires_at": "soon", "rate_limit": 0, "environment": "a b", "id": 1},
    )  # fmt: skip
    assert (answer.status, set(answer.problems)) == (
        400, {"$.name", "$.expires_at", "$.rate_limit", "$.environment", "$.id"},
    )  # fmt: skip
    unknown = await client.ask("POST", "/keys", {"name": "a", "permissions": ["email.send", "root"]})
    assert list(unknown.problems) == ["$.permissions[1]"]
    assert all(permission in unknown.text for permission in PERMISSIONS)


async def test_lists_are_paged_oldest_first(client: Client) -> None:
    ids = [(await client.ask("GET", "/keys")).data[0]["id"]]
    ids += [(await make(client, name=f"k{number}"))["id"] for number in range(5)]
    first = await client.ask("GET", "/keys?per_page=4")
    assert [key["id"] for key in first.data] == ids[:4]
    meta = first.body["meta"]
    assert (meta["page"], meta["per_page"], meta["total"], meta["total_pages"]) == (1, 4, 6, 2)
    rest = await client.ask("GET", f"/keys?per_page=4&cursor={meta['next_cursor']}")
    assert [key["id"] for key in rest.data] == ids[4:]
    assert rest.body["meta"]["next_cursor"] is None
    assert (await client.ask("GET", "/keys?per_page=101")).problems == {"$.per_page": "must be at most 100"}


async def test_the_last_use_of_a_key_is_told_and_written_once_a_minute(
    replicas: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "WRITTEN_EVERY", 0.02)
    client = await replicas.replica(await replicas.key())
    made = await make(client)
    assert made["last_used_at"] is None
    await client.by(made["key"]).ask("GET", "/keys")

    async def told() -> str | None:
        last: str | None = (await client.ask("GET", f"/keys/{made['id']}")).data["last_used_at"]
        return last

    last = await eventually(told)
    assert last is not None
    assert abs(datetime.now(UTC) - datetime.fromisoformat(last)) < timedelta(seconds=10)
    written = await _writes(replicas)
    for _ in range(10):
        await client.by(made["key"]).ask("GET", "/keys")
    assert await told() == last
    assert await _writes(replicas) == written


async def _writes(replicas: Gateways) -> int:
    info = await replicas.client.jetstream().stream_info(f"KV_{topology.KEY_USES}")
    last: int = info.state.last_seq
    return last


async def test_a_flood_of_unknown_keys_asks_the_broker_one_question_at_a_time(
    replicas: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    original = Bucket._last_at_leader

    async def counted(self: Bucket[Any]) -> int:
        nonlocal asked
        asked += 1
        return await original(self)

    client = await replicas.replica()
    monkeypatch.setattr(Bucket, "_last_at_leader", counted)
    answers = await asyncio.gather(*(client.by(f"sk_{number}").ask("GET", "/keys") for number in range(300)))
    assert {answer.status for answer in answers} == {401}
    assert asked < 100
