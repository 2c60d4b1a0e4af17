"""`templates`: made from files, found by alias, and sends by one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.stub_api import CommandLine, StubApi

ID = "0e6a3a52-0000-4000-8000-000000000001"
TEMPLATE: dict[str, Any] = {
    "id": ID,
    "name": "Welcome",
    "alias": "welcome",
    "latest_version": 2,
    "published_version": 1,
    "created_at": "2026-11-24T12:00:00Z",
    "updated_at": "2026-11-24T12:00:00Z",
}
SHOWN = TEMPLATE | {
    "version": 2,
    "subject": "Hi {{ name }}",
    "html": "<p>Hi\x1b[31m {{ name }}</p>",
    "text": None,
    "css_inline": False,
    "variables": ["name"],
}


async def test_a_template_is_made_from_files_and_published(
    api: StubApi, cli: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "w.html").write_text("<p>Žluť {{ name }}</p>", encoding="utf-8")
    api.answer("POST", "/templates", SHOWN)
    api.answer("POST", f"/templates/{ID}/publish", SHOWN)
    words = ["--alias", "welcome", "--subject", "Hi {{ name }}", "--html-file", str(tmp_path / "w.html")]
    said = await cli("templates", "add", "Welcome", *words, "--css-inline", "--publish")
    assert (said.code, said.out) == (0, f"{ID}\n")
    assert api.asked[0].body == {
        "name": "Welcome",
        "alias": "welcome",
        "subject": "Hi {{ name }}",
        "html": "<p>Žluť {{ name }}</p>",
        "css_inline": True,
    }
    assert api.asked[1].body == {"version": 2}


async def test_a_template_is_found_by_its_alias(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/templates", [TEMPLATE])
    api.answer("GET", f"/templates/{ID}", SHOWN)
    api.answer(
        "GET",
        f"/templates/{ID}/versions",
        [{"version": 2, "published": False}, {"version": 1, "published": True}],
    )
    said = await cli("templates", "show", "welcome")
    assert said.code == 0
    assert api.asked[0].query == {"alias": "welcome"}
    assert "Versions    2, 1 (published)" in said.out
    assert "subject, version 2" in said.out
    assert "\x1b[31m" not in said.out
    listed = await cli("templates", "list")
    assert "welcome" in listed.out


async def test_an_unknown_alias_is_said_to_be_unknown(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/templates", [])
    said = await cli("templates", "remove", "farewell")
    assert said.code == 1
    assert "there is no template 'farewell'" in said.err


async def test_a_template_is_changed_published_rendered_and_removed(
    api: StubApi, cli: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "v.json").write_text(json.dumps({"name": "Ann", "n": 1}))
    api.answer("PATCH", f"/templates/{ID}", SHOWN)
    api.answer("POST", f"/templates/{ID}/publish", SHOWN)
    api.answer(
        "POST", f"/templates/{ID}/render", {"version": 2, "subject": "Hi Bob", "html": None, "text": "T"}
    )
    api.answer("DELETE", f"/templates/{ID}", SHOWN)
    assert (await cli("templates", "edit", ID, "--subject", "Hello")).code == 0
    assert (await cli("templates", "edit", ID)).code == 2
    published = await cli("templates", "publish", ID, "--version", "1")
    assert published.out == "version 1 of Welcome is sent from now on\n"
    rendered = await cli(
        "templates", "render", ID, "--variables-file", str(tmp_path / "v.json"), "--variable", "name=Bob",
        "--only", "subject",
    )  # fmt: skip
    assert rendered.out == "Hi Bob\n"
    assert (await cli("templates", "remove", ID)).out == "removed Welcome\n"
    assert [asked.body for asked in api.asked] == [
        {"subject": "Hello"},
        {"version": 1},
        {"variables": {"name": "Bob", "n": 1}},
        None,
    ]


async def test_a_send_by_template_needs_no_texts(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/emails/send", {"id": ID})
    words = ["--to", "a@b.test", "--template", "welcome", "--template-version", "2", "--variable", "name=Ann"]
    assert (await cli("send", *words)).code == 0
    assert api.asked[0].body == {
        "to": "a@b.test",
        "template_id": "welcome",
        "template_version": 2,
        "variables": {"name": "Ann"},
    }


@pytest.mark.parametrize(
    "words",
    [
        ("--variable", "name"),
        ("--variables-file", "/nowhere.json"),
    ],
)
async def test_variables_that_cannot_be_read_are_a_mistake_of_usage(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    assert (await cli("templates", "render", ID, *words)).code == 2


async def test_a_send_without_a_template_needs_its_texts(cli: CommandLine) -> None:
    assert (await cli("send", "--to", "a@b.test", "--text", "x")).code == 2
    assert (await cli("send", "--to", "a@b.test", "--subject", "x")).code == 2
