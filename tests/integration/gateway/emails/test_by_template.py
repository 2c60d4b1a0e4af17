"""Sends by a template: found by id or alias, fixed with the email, and told again when the template is gone."""

import asyncio
from typing import Any

from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Answer, Behind, Door

WELCOME: dict[str, Any] = {
    "name": "Welcome",
    "alias": "welcome",
    "subject": "Hi {{ name }}",
    "html": "<p>Hi {{ name }}</p>",
}


async def make(door: Door, *, publish: bool = True, **given: Any) -> dict[str, Any]:
    answer = await door.ask("POST", "/templates", WELCOME | given)
    assert answer.status == 201, answer.body
    template: dict[str, Any] = answer.data
    if publish:
        assert (await door.ask("POST", f"/templates/{template['id']}/publish", {})).status == 200
    return template


async def send(door: Door, template_id: str, key: str | None = None, **given: Any) -> Answer:
    body = {"to": "ann@world.test", "template_id": template_id, "variables": {"name": "<Ann>"}} | given
    return await door.ask("POST", "/emails/send", body, **({"Idempotency_Key": key} if key else {}))


async def test_the_published_version_is_sent_by_id_and_by_alias(door: Door) -> None:
    template = await make(door)
    await door.ask("PATCH", f"/templates/{template['id']}", {"html": "<p>a draft</p>"})
    for name in (template["id"], "welcome", template["id"].upper()):
        sent = await send(door, name)
        assert sent.status == 202, sent.body
        shown = (await door.show(sent.data["id"], "content")).data
        assert (shown["subject"], shown["html"]) == ("Hi <Ann>", "<p>Hi &lt;Ann&gt;</p>")
        assert shown["text"] == "Hi <Ann>"
        assert (shown["template_id"], shown["template_version"]) == (template["id"], 1)
    named = await send(door, "welcome", template_version=2)
    shown = (await door.show(named.data["id"], "content")).data
    assert (shown["html"], shown["template_version"]) == ("<p>a draft</p>", 2)


async def test_a_template_that_cannot_be_sent_is_refused_naming_it(door: Door) -> None:
    template = await make(door, publish=False)
    for name, given, path in (
        ("farewell", {}, "$.template_id"),
        ("No such name!", {}, "$.template_id"),
        ("0198c0de-0000-7000-8000-000000000000", {}, "$.template_id"),
        ("welcome", {}, "$.template_id"),
        (template["id"], {"template_version": 2}, "$.template_version"),
        (template["id"], {"template_version": 1, "variables": {}}, "$.variables"),
    ):
        answer = await send(door, name, **given)
        assert (answer.status, answer.error["code"]) == (422, "TEMPLATE_ERROR"), name
        assert answer.paths[0] == path
    unpublished = await send(door, "welcome")
    assert "'welcome' has no published version" in unpublished.error["details"][0]["message"]


async def test_another_workspaces_template_is_unknown(door: Door, behind: Behind) -> None:
    template = await make(door)
    token, _ = await behind.workspace(f"{behind.name}-other")
    other = Door(door.url, token, door.session)
    for name in (template["id"], "welcome"):
        assert (await send(other, name)).status == 422


async def test_a_repeat_is_answered_as_the_first_though_the_template_is_gone(door: Door) -> None:
    template = await make(door)
    first = await send(door, "welcome", "k1")
    assert first.status == 202
    assert (await door.ask("DELETE", f"/templates/{template['id']}")).status == 200
    again = await send(door, "welcome", "k1")
    assert (again.status, again.data) == (202, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await send(door, "welcome", "k2")).status == 422
    other = await send(door, "welcome", "k1", variables={"name": "Bob"})
    assert (other.status, other.error["code"]) == (409, "IDEMPOTENCY_MISMATCH")


async def test_what_is_sent_after_publishing_was_answered_is_what_was_published(door: Door) -> None:
    template = await make(door)
    await door.ask("PATCH", f"/templates/{template['id']}", {"subject": "Two"})
    await door.ask("POST", f"/templates/{template['id']}/publish", {})
    answers = await asyncio.gather(*(send(door, "welcome") for _ in range(20)))
    assert {answer.data["subject"] for answer in answers} == {"Two"}


async def test_a_batch_renders_one_template_for_each(door: Door) -> None:
    await make(door)
    recipients = [
        {"to": f"u{number}@world.test", "variables": {"name": f"n{number}"}} for number in range(50)
    ]
    body = {"template_id": "welcome", "recipients": recipients}
    answer = await door.ask("POST", "/emails/batch", body)
    assert answer.status == 202, answer.body
    for number in (0, 49):
        shown = (await door.show(answer.data[number]["id"], "content")).data
        assert (shown["subject"], shown["template_version"]) == (f"Hi n{number}", 1)
    recipients[7]["variables"] = {}
    refused = await door.ask("POST", "/emails/batch", body)
    assert (refused.status, refused.error["code"]) == (422, "TEMPLATE_ERROR"), refused.body
    assert set(refused.paths) == {"$.recipients[7].variables"}
    unknown = await door.ask("POST", "/emails/batch", body | {"template_id": "farewell"})
    assert (unknown.status, set(unknown.paths)) == (422, {"$.template_id"})
    broken = {**body, "recipients": [{"to": "a@world.test", "variables": {"name": "a\nb"}}]}
    crlf = await door.ask("POST", "/emails/batch", broken)
    assert (crlf.status, crlf.paths) == (400, ["$.recipients[0].variables"])


async def test_a_dry_run_renders_the_template(door: Door) -> None:
    await make(door)
    body = {"to": "ann@world.test", "template_id": "welcome", "variables": {"name": "Ann"}}
    answer = await door.ask("POST", "/emails/validate", body)
    assert (answer.status, answer.data["subject"], answer.data["html"]) == (200, "Hi Ann", "<p>Hi Ann</p>")


async def test_a_form_is_sent_by_a_template_and_told_again_when_that_is_gone(
    door: Door, house: House
) -> None:
    template = await make(door)
    body = forms.form(
        forms.text("to", "ann@world.test"),
        forms.text("template_id", "welcome"),
        forms.text("template_version", "1"),
        forms.text("variables", '{"name": "Ann"}'),
        forms.file("a.txt", b"file"),
        good=False,
    )
    first = await forms.post(door, body, Idempotency_Key="f1")
    assert (first.status, first.data["subject"]) == (202, "Hi Ann")
    kept = len(forms.kept(house.home / "content"))
    await door.ask("DELETE", f"/templates/{template['id']}")
    again = await forms.post(door, body, Idempotency_Key="f1")
    assert (again.status, again.data) == (202, first.data)
    refused = await forms.post(door, body, Idempotency_Key="f2")
    assert (refused.status, refused.paths) == (422, ["$.template_id"])
    assert len(forms.kept(house.home / "content")) == kept
