"""Templates over the API: versions that never change, one that is sent, names that are one template's alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.gateway.templates import entries, handlers, library
from services.gateway.templates.entries import Alias
from services.gateway.templates.library import Library
from shared.runtime import topology
from tests.controls.gateways import Answer, Client, Gateways

WELCOME: dict[str, Any] = {"name": "Welcome", "subject": "Hi {{ name }}", "html": "<p>Hi {{ name }}</p>"}


async def make(client: Client, **given: Any) -> dict[str, Any]:
    answer = await client.ask("POST", "/templates", WELCOME | given)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.data
    return made


async def test_a_template_is_read_as_it_was_made(client: Client) -> None:
    made = await make(client, alias="welcome", text="Hi {{ name }} of {{ order.id }}", css_inline=True)
    assert made == {
        "id": made["id"], "name": "Welcome", "alias": "welcome",
        "subject": "Hi {{ name }}", "html": "<p>Hi {{ name }}</p>", "text": "Hi {{ name }} of {{ order.id }}",
        "css_inline": True, "variables": ["name", "order"],
        "version": 1, "latest_version": 1, "published_version": None,
        "created_at": made["created_at"], "updated_at": made["created_at"],
    }  # fmt: skip
    assert (await client.ask("GET", f"/templates/{made['id']}")).data == made
    [listed] = (await client.ask("GET", "/templates?alias=welcome")).data
    assert listed.items() <= made.items()
    assert "html" not in listed
    assert (await client.ask("GET", "/templates?alias=farewell")).data == []


async def test_other_texts_are_a_new_version_and_other_names_are_none(client: Client) -> None:
    made = await make(client)
    path = f"/templates/{made['id']}"
    renamed = (await client.ask("PATCH", path, {"name": "Hello", "subject": WELCOME["subject"]})).data
    assert (renamed["name"], renamed["latest_version"]) == ("Hello", 1)
    changed = (await client.ask("PATCH", path, {"subject": "Hello {{ name }}"})).data
    assert (changed["version"], changed["subject"], changed["html"]) == (2, "Hello {{ name }}", made["html"])
    first = (await client.ask("GET", f"{path}?version=1")).data
    assert (first["version"], first["subject"]) == (1, WELCOME["subject"])
    assert [
        (one["version"], one["published"]) for one in (await client.ask("GET", f"{path}/versions")).data
    ] == [
        (2, False),
        (1, False),
    ]
    missing = await client.ask("GET", f"{path}?version=3")
    assert (missing.status, list(missing.problems)) == (400, ["$.version"])


async def test_publishing_names_a_version_also_an_earlier_one(client: Client) -> None:
    made = await make(client)
    path = f"/templates/{made['id']}"
    await client.ask("PATCH", path, {"subject": "Two"})
    latest = (await client.ask("POST", f"{path}/publish", {})).data
    assert (latest["published_version"], latest["subject"]) == (2, "Two")
    back = (await client.ask("POST", f"{path}/publish", {"version": 1})).data
    assert (back["published_version"], back["latest_version"], back["subject"]) == (1, 2, WELCOME["subject"])
    never = await client.ask("POST", f"{path}/publish", {"version": 9})
    assert (never.status, list(never.problems)) == (400, ["$.version"])


async def test_what_needs_no_wishes_needs_no_body(client: Client) -> None:
    made = await make(client, subject="Hi", html="<p>Hi</p>")
    assert (await client.ask("POST", f"/templates/{made['id']}/publish")).data["published_version"] == 1
    assert (await client.ask("POST", f"/templates/{made['id']}/render")).data["subject"] == "Hi"
    assert (await client.ask("PATCH", f"/templates/{made['id']}")).status == 415
    wrong = await client.ask("POST", f"/templates/{made['id']}/publish", b"{}", Content_Type="text/plain")
    assert wrong.status == 415


async def test_a_removed_template_is_answered_as_it_was_and_leaves_nothing(
    client: Client, replicas: Gateways
) -> None:
    made = await make(client, alias="welcome")
    path = f"/templates/{made['id']}"
    assert (await client.ask("DELETE", path)).data == made
    for method, below in (("GET", ""), ("DELETE", ""), ("GET", "/versions")):
        assert (await client.ask(method, path + below)).status == 404
    info = await replicas.client.jetstream().stream_info(f"KV_{topology.TEMPLATE_VERSIONS}")
    assert info.state.messages == 0
    again = await make(client, alias="welcome")
    assert again["id"] != made["id"]


async def test_an_alias_is_one_templates_alone(client: Client, replicas: Gateways) -> None:
    made = await make(client, alias="welcome")
    taken = await client.ask("POST", "/templates", WELCOME | {"alias": "welcome"})
    assert (taken.status, taken.code, list(taken.problems)) == (409, "CONFLICT", ["$.alias"])
    other = await make(client)
    assert (await client.ask("PATCH", f"/templates/{other['id']}", {"alias": "welcome"})).status == 409
    elsewhere = client.by(await replicas.key("elsewhere"))
    assert (await make(elsewhere, alias="welcome"))["alias"] == "welcome"
    assert (await client.ask("PATCH", f"/templates/{made['id']}", {"alias": "hello"})).status == 200
    assert (await client.ask("PATCH", f"/templates/{other['id']}", {"alias": "welcome"})).status == 200


async def test_of_many_who_want_an_alias_at_once_one_gets_it(replicas: Gateways) -> None:
    here = await replicas.replica(await replicas.key())
    there = await replicas.replica(here.token)
    asked = [
        door.ask("POST", "/templates", WELCOME | {"alias": "a"}) for door in (here, there) for _ in range(8)
    ]
    answers: list[Answer] = await asyncio.gather(*asked)
    assert sorted(answer.status for answer in answers) == [201] + [409] * 15


async def test_an_alias_claimed_for_a_template_that_never_came_is_taken_over(
    client: Client, replicas: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Library(replicas.client).heads
    claim = Alias(template_id="0198c0de-0000-7000-8000-000000000000", claimed_at=datetime.now(UTC))
    await left.put(entries.alias_key("default", "welcome"), claim)
    assert (await client.ask("POST", "/templates", WELCOME | {"alias": "welcome"})).status == 409
    monkeypatch.setattr(handlers, "DANGLING_AFTER", timedelta(0))
    assert (await make(client, alias="welcome"))["alias"] == "welcome"


async def test_a_template_made_here_is_there_at_once_and_a_change_after_its_answer(
    replicas: Gateways,
) -> None:
    here = await replicas.replica(await replicas.key())
    there = await replicas.replica(here.token)
    made: dict[str, Any] = {}
    for number in range(10):
        made = await make(here, alias=f"t{number}")
        assert (await there.ask("GET", f"/templates/{made['id']}")).data == made
    await here.ask("PATCH", f"/templates/{made['id']}", {"html": "<b>new</b>"})
    rendered = await there.ask("POST", f"/templates/{made['id']}/render", {"variables": {"name": "x"}})
    assert rendered.data["html"] == "<b>new</b>"


async def test_changes_at_once_all_hold(client: Client) -> None:
    made = await make(client)
    path = f"/templates/{made['id']}"
    answers = await asyncio.gather(
        *(client.ask("PATCH", path, change) for change in ({"subject": "S"}, {"text": "T"}, {"html": "H"}))
    )
    assert [answer.status for answer in answers] == [200, 200, 200]
    now = (await client.ask("GET", path)).data
    assert (now["subject"], now["text"], now["html"]) == ("S", "T", "H")
    versions = (await client.ask("GET", f"{path}/versions")).data
    assert [one["version"] for one in versions] == [4, 3, 2, 1]


async def test_rendering_shows_the_texts_and_says_all_that_is_missing(client: Client) -> None:
    made = await make(client, html="<p>\nHi {{ name }}\n{{ order.id }}</p>")
    path = f"/templates/{made['id']}/render"
    shown = await client.ask("POST", path, {"variables": {"name": "<Ann>", "order": {"id": 7}}})
    assert shown.data == {
        "version": 1, "subject": "Hi <Ann>", "html": "<p>\nHi &lt;Ann&gt;\n7</p>", "text": "Hi <Ann> 7",
    }  # fmt: skip
    bare = await client.ask("POST", path, {})
    assert (bare.status, bare.code) == (422, "TEMPLATE_ERROR")
    assert [(one["path"], one["message"]) for one in bare.body["error"]["details"]] == [
        ("$.subject", "line 1: 'name' is missing from variables"),
        ("$.html", "line 2: 'name' is missing from variables"),
        ("$.html", "line 3: 'order' is missing from variables"),
    ]
    broken = await client.ask("POST", path, {"variables": {"name": "a\r\nBcc: b@c.test", "order": {"id": 1}}})
    assert (broken.status, list(broken.problems)) == (400, ["$.subject"])


async def test_styles_are_moved_into_tags_on_demand(client: Client) -> None:
    html = "<style>p{color:red}</style><link rel=stylesheet href='/etc/hostname'><p>{{ name }}</p>"
    moved = await make(client, html=html, css_inline=True)
    sample = {"variables": {"name": "Ann"}}
    inlined = (await client.ask("POST", f"/templates/{moved['id']}/render", sample)).data["html"]
    assert '<p style="color: red;">Ann</p>' in inlined
    kept = await make(client, html=html)
    as_is = (await client.ask("POST", f"/templates/{kept['id']}/render", sample)).data["html"]
    assert as_is == html.replace("{{ name }}", "Ann")


@pytest.mark.parametrize(
    ("given", "status", "path"),
    [
        ({"html": None}, 400, "$.html"),
        ({"html": "", "text": ""}, 400, "$.html"),
        ({"subject": "a\r\nBcc: x"}, 400, "$.subject"),
        ({"subject": "x" * 999}, 400, "$.subject"),
        ({"alias": "Two Words"}, 400, "$.alias"),
        ({"alias": "0198c0de-0000-7000-8000-000000000000"}, 400, "$.alias"),
        ({"name": ""}, 400, "$.name"),
        ({"colour": "red"}, 400, "$.colour"),
        ({"html": "x" * 524_289}, 400, "$.html"),
        ({"html": "{% if %}"}, 422, "$.html"),
        ({"subject": "{{ ''.__class__ }}"}, 422, "$.subject"),
        ({"text": "{% include '/etc/passwd' %}"}, 422, "$.text"),
    ],
)
async def test_what_no_template_can_be_is_refused_naming_the_field(
    client: Client, given: dict[str, Any], status: int, path: str
) -> None:
    answer = await client.ask("POST", "/templates", WELCOME | given)
    assert (answer.status, list(answer.problems)) == (status, [path])


async def test_versions_in_memory_are_bounded_and_read_again(replicas: Gateways) -> None:
    shelf = Library(replicas.client, kept=5000)
    await shelf.open()
    client = await replicas.replica(await replicas.key())
    heads = []
    for number in range(4):
        made = await make(client, html=f"{number}" * 2000)
        head = await shelf.head("default", made["id"])
        assert head is not None
        heads.append(head)
    for number, head in [*enumerate(heads), *enumerate(heads)]:
        assert (await shelf.version(head, 1)).html == f"{number}" * 2000
    assert sum(version.size for version in shelf._versions.values()) <= 5000
    await shelf.close()


async def test_a_version_that_somebody_began_costs_no_number(client: Client, replicas: Gateways) -> None:
    made = await make(client)
    shelf = library.Library(replicas.client)
    left = entries.Made(2, datetime.now(UTC), "crashed")
    await shelf.write("default", made["id"], left, entries.Version(text="left by a crash"))
    changed = (await client.ask("PATCH", f"/templates/{made['id']}", {"subject": "S"})).data
    assert (changed["version"], changed["subject"], changed["text"]) == (2, "S", None)


async def test_many_changes_at_once_leave_as_many_versions_and_no_texts_besides(
    client: Client, replicas: Gateways
) -> None:
    made = await make(client)
    path = f"/templates/{made['id']}"
    answers = await asyncio.gather(*(client.ask("PATCH", path, {"subject": f"S{n}"}) for n in range(8)))
    assert sorted(answer.data["latest_version"] for answer in answers) == list(range(2, 10))
    stream = await replicas.client.jetstream().stream_info(
        f"KV_{topology.TEMPLATE_VERSIONS}",
        subjects_filter=f"$KV.{topology.TEMPLATE_VERSIONS}.default.{made['id']}.*",
    )
    assert len(stream.state.subjects or {}) == 9


def test_a_head_that_was_written_before_versions_had_marks_is_read() -> None:
    """They name their texts by the number alone."""
    old = b'{"type":"template","id":"t","workspace":"w","name":"n","versions":[[1,"2026-11-01T08:00:00Z"]],"created_at":"2026-11-01T08:00:00Z","updated_at":"2026-11-01T08:00:00Z"}'
    head = msgspec.json.decode(old, type=entries.Head)
    assert entries.version_key("w", "t", head.versions[0]) == "w.t.1"
