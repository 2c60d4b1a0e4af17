"""Suppressions over the API: made, found in any spelling, changed, removed, listed and searched."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.controls.eventually import eventually
from tests.controls.gateways import Answer, Client, Gateways


async def add(client: Client, email: str, **fields: Any) -> Answer:
    return await client.ask("POST", "/suppressions", {"email": email, **fields})


def at(email: str) -> str:
    return f"/suppressions/{quote(email, safe='')}"


async def test_a_suppression_is_answered_as_it_was_made(client: Client) -> None:
    made = await add(client, "Ann@World.test", reason="complaint", detail="abuse report of May")
    assert made.status == 201
    assert made.data | {"created_at": None} == {
        "email": "Ann@World.test",
        "reason": "complaint",
        "detail": "abuse report of May",
        "created_at": None,
    }
    assert (await client.ask("GET", at("ann@world.test"))).data == made.data


async def test_a_reason_is_manual_unless_it_is_given(client: Client) -> None:
    assert (await add(client, "ann@world.test")).data["reason"] == "manual"


async def test_a_repeat_answers_200_with_the_first_as_it_is(client: Client) -> None:
    first = await add(client, "ann@world.test", reason="complaint")
    again = await add(client, "ANN@world.test", reason="manual", detail="other")
    assert (again.status, again.data) == (200, first.data)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("ann@bücher.example", "ANN@xn--bcher-kva.example"),
        ("jürgen@world.test", "JÜRGEN@World.test"),
        ("a+b/c%d@world.test", "a+b/c%d@world.test"),
        ("o'neil&sons=x@world.test", "o'neil&sons=x@world.test"),
    ],
)
async def test_it_is_found_and_removed_by_any_spelling(client: Client, given: str, asked: str) -> None:
    made = (await add(client, given)).data
    assert (await client.ask("GET", at(asked))).data == made
    gone = await client.ask("DELETE", at(asked))
    assert (gone.status, gone.data) == (200, made)
    assert (await client.ask("GET", at(given))).status == 404
    assert (await client.ask("DELETE", at(asked))).status == 404
    assert (await add(client, given)).status == 201


async def test_what_one_replica_answered_201_for_is_known_to_another_at_once(replicas: Gateways) -> None:
    token = await replicas.key()
    one, other = await replicas.replica(token), await replicas.replica(token)
    for number in range(20):
        email = f"user{number}@world.test"
        assert (await add(one, email)).status == 201
        assert (await other.ask("GET", at(email))).status == 200
        assert (await other.ask("DELETE", at(email))).status == 200
        assert (await one.ask("GET", at(email))).status == 404


async def test_reason_and_detail_can_be_changed_and_nothing_else(client: Client) -> None:
    made = (await add(client, "ann@world.test", detail="once")).data
    changed = await client.ask("PATCH", at("Ann@world.test"), {"reason": "unsubscribe"})
    assert changed.data == made | {"reason": "unsubscribe"}
    changed = await client.ask("PATCH", at("ann@world.test"), {"detail": None})
    assert changed.data == made | {"reason": "unsubscribe", "detail": None}
    assert (await client.ask("GET", at("ann@world.test"))).data == changed.data
    assert (await client.ask("PATCH", at("ann@world.test"), {"email": "x@y.test"})).status == 400
    assert (await client.ask("PATCH", at("bob@world.test"), {"reason": "manual"})).status == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "$.email"),
        ({"email": "nobody"}, "$.email"),
        ({"email": "a@b.test, c@d.test"}, "$.email"),
        ({"email": "a@b.test\r\nx"}, "$.email"),
        ({"email": "a@b.test", "reason": "dislike"}, "$.reason"),
        ({"email": "a@b.test", "detail": "x" * 501}, "$.detail"),
        ({"email": "a@b.test", "created_at": "2030-01-01T00:00:00Z"}, "$.created_at"),
    ],
)
async def test_what_is_wrong_is_named(client: Client, body: dict[str, Any], path: str) -> None:
    answer = await client.ask("POST", "/suppressions", body)
    assert (answer.status, list(answer.problems)) == (400, [path])


@pytest.mark.parametrize("text", ["nobody", "%ff@world.test", "a@b.test%0d%0ax", "%00@b.test"])
async def test_a_path_that_is_no_address_is_a_problem_of_the_path(client: Client, text: str) -> None:
    answer = await client.ask("GET", f"/suppressions/{text}")
    assert (answer.status, list(answer.problems)) == (400, ["$.email"])


async def test_no_workspace_sees_or_removes_anothers(replicas: Gateways, client: Client) -> None:
    await add(client, "ann@world.test")
    other = client.by(await replicas.key("other"))
    assert (await other.ask("GET", at("ann@world.test"))).status == 404
    assert (await other.ask("DELETE", at("ann@world.test"))).status == 404
    assert (await add(other, "ann@world.test")).status == 201
    assert (await other.ask("DELETE", at("ann@world.test"))).status == 200
    assert (await client.ask("GET", at("ann@world.test"))).status == 200


async def _listed(client: Client, count: int, query: str = "?per_page=100") -> Answer:
    async def all_there() -> bool:
        return bool((await client.ask("GET", f"/suppressions{query}")).body["meta"]["total"] == count)

    await eventually(all_there)
    return await client.ask("GET", f"/suppressions{query}")


@pytest.mark.usefixtures("projecting")
async def test_lists_are_newest_first_and_paged_by_number_and_cursor(client: Client) -> None:
    for number in range(7):
        await add(client, f"user{number}@world.test")
    await client.ask("DELETE", at("user3@world.test"))
    whole = await _listed(client, 6)
    emails = [one["email"] for one in whole.data]
    assert emails == [f"user{n}@world.test" for n in (6, 5, 4, 2, 1, 0)]
    meta = whole.body["meta"]
    at_ = datetime.fromisoformat(meta["projected_at"])
    assert meta["next_cursor"] is None
    assert at_ <= datetime.now(UTC)
    second = await client.ask("GET", "/suppressions?per_page=2&page=2")
    assert [one["email"] for one in second.data] == emails[2:4]
    assert (second.body["meta"]["total"], second.body["meta"]["total_pages"]) == (6, 3)
    seen, query = [], "?per_page=4"
    while query:
        page = await client.ask("GET", f"/suppressions{query}")
        seen += [one["email"] for one in page.data]
        cursor = page.body["meta"]["next_cursor"]
        query = f"?per_page=4&cursor={cursor}" if cursor else ""
    assert seen == emails


@pytest.mark.usefixtures("projecting")
async def test_lists_are_searched_by_address_words_and_reason(client: Client) -> None:
    await add(client, "Ann@Bücher.example", reason="bounce", detail="550 5.1.1 unknown")
    await add(client, "ann.other@world.test", reason="complaint")
    await add(client, "bob_x@world.test", detail="100 % sure")
    await _listed(client, 3)
    for query, wanted in {
        "email=ANN@xn--bcher-kva.example": {"Ann@Bücher.example"},
        "email=ann": {"Ann@Bücher.example", "ann.other@world.test"},
        "email=bücher": {"Ann@Bücher.example"},
        "email=b_b": set(),
        "q=5.1.1": {"Ann@Bücher.example"},
        "q=100 %25": {"bob_x@world.test"},
        "q=WORLD": {"ann.other@world.test", "bob_x@world.test"},
        "reason=complaint": {"ann.other@world.test"},
        "reason=bounce&q=other": set(),
    }.items():
        answer = await client.ask("GET", f"/suppressions?{query}")
        assert {one["email"] for one in answer.data} == wanted, query
        assert answer.body["meta"]["total"] == len(wanted), query


@pytest.mark.parametrize(
    "query", ["reason=no", "page=0", "per_page=101", "cursor=x", "page=100000", "bogus=1"]
)
async def test_a_question_that_is_wrong_is_refused(client: Client, query: str) -> None:
    assert (await client.ask("GET", f"/suppressions?{query}")).status == 400
