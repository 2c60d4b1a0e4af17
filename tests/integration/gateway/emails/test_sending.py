import json
import uuid
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shared.events import submission
from tests.controls.eventually import eventually
from tests.integration.gateway.emails.door import GOOD, Behind, Door

KEYS = {"id", "status", "to", "subject", "scheduled_at", "message_id", "created_at"}


async def test_a_202_is_an_email_in_the_log(door: Door, behind: Behind) -> None:
    answer = await door.send()
    assert answer.status == 202
    assert set(answer.data) == KEYS
    assert (answer.data["status"], answer.data["to"], answer.data["scheduled_at"]) == (
        "queued",
        "ann@world.test",
        None,
    )
    (record,) = await behind.history(answer.data["id"])
    assert isinstance(record.event, submission.Requested)
    assert record.event.release == "now"
    assert record.event.email.message_id == answer.data["message_id"]
    assert uuid.UUID(answer.data["id"]).version == 7


async def test_every_problem_is_listed_and_nothing_is_accepted(door: Door, behind: Behind) -> None:
    answer = await door.send(
        to=["ann@world.test", "nobody"], subject="a\nb", colour="red", scheduled_at="2020-01-01T00:00:00Z"
    )
    assert answer.status == 400
    assert sorted(answer.paths) == ["$.colour", "$.scheduled_at", "$.subject", "$.to[1]"]
    assert await behind.emails_in_log() == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b'{"to":"a@b.test","to":"c@d.test"}', b"\xff", b"[" * 99999]
)
async def test_what_is_no_send_object_is_400(door: Door, body: bytes) -> None:
    answer = await door.ask("POST", "/emails/send", body)
    assert (answer.status, answer.error["code"]) == (400, "VALIDATION_ERROR")


async def test_html_alone_gets_a_text(door: Door) -> None:
    sent = await door.sent(html="<p>Hello <b>Ann</b></p>", text=None)
    shown = await door.show(sent["id"], "content")
    assert shown.data["html"] == "<p>Hello <b>Ann</b></p>"
    assert "Hello" in shown.data["text"]


async def test_variables_are_rendered_and_a_missing_one_is_named(door: Door) -> None:
    sent = await door.sent(
        subject="Hi {{ name }}", html="<p>{{ name }}</p>", text=None, variables={"name": "A & B"}
    )
    assert sent["subject"] == "Hi A & B"
    assert (await door.show(sent["id"], "content")).data["html"] == "<p>A &amp; B</p>"
    answer = await door.send(subject="Hi {{ name }}", variables={})
    assert (answer.status, answer.error["code"], answer.paths) == (422, "TEMPLATE_ERROR", ["$.subject"])
    assert "name" in answer.error["details"][0]["message"]


async def test_a_header_injected_by_a_variable_is_400(door: Door) -> None:
    answer = await door.send(subject="Hi {{ name }}", variables={"name": "x\r\nBcc: eve@world.test"})
    assert (answer.status, answer.paths) == (400, ["$.subject"])


async def test_a_large_body_is_kept_outside_the_log(door: Door, behind: Behind) -> None:
    text = json.dumps([uuid.uuid4().hex for _ in range(8000)])
    sent = await door.sent(text=text)
    (record,) = await behind.history(sent["id"])
    body = record.event.email.body
    assert body.content is None
    assert body.packed is None
    assert body.key.startswith(f"{behind.name}/")
    assert (await door.show(sent["id"], "content")).data["text"] == text
    await behind.project(sent["id"])
    await behind.trim(sent["id"])
    assert (await door.show(sent["id"], "content")).data["text"] == text


async def test_a_later_time_waits_for_the_scheduler(door: Door, behind: Behind) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    sent = await door.sent(scheduled_at=at.isoformat())
    assert (sent["status"], sent["scheduled_at"]) == ("scheduled", at.isoformat().replace("+00:00", "Z"))
    (record,) = await behind.history(sent["id"])
    assert record.event.release == "at"


async def test_the_trace_goes_on_in_the_record(door: Door, behind: Behind) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await door.ask("POST", "/emails/send", GOOD, traceparent=trace)
    (record,) = await behind.history(answer.data["id"])
    assert record.traceparent == trace
    answer = await door.ask("POST", "/emails/send", GOOD, traceparent="rubbish")
    (record,) = await behind.history(answer.data["id"])
    assert record.traceparent is None


async def test_who_may_not_send_is_told_so_by_422(door: Door, behind: Behind) -> None:
    answer = await door.send(**{"from": "eve@sendlog.test"})
    assert (answer.status, answer.error["code"], answer.paths) == (422, "SMTP_ACCOUNT_REQUIRED", ["$.from"])
    answer = await door.send(smtp_account_id=str(uuid.uuid4()))
    assert (answer.status, answer.paths) == (422, ["$.smtp_account_id"])
    _, others = await behind.workspace(f"{behind.name}-other")
    answer = await door.send(smtp_account_id=others.id)
    assert answer.status == 422
    workspace = await behind.workspaces.get(behind.name)
    assert workspace is not None
    await behind.workspaces.put(behind.name, msgspec.structs.replace(workspace, default_account_id=None))

    async def refused() -> bool:
        return (await door.send()).status == 422

    await eventually(refused, within=3)


async def test_a_disabled_account_sends_nothing(door: Door, behind: Behind) -> None:
    await behind.change_account(disabled=True)

    async def refused() -> bool:
        return (await door.send()).status == 422

    await eventually(refused, within=3)
