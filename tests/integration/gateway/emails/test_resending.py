"""POST /emails/:id/resend: the same once more, as an email of its own."""

import asyncio
import uuid
from base64 import b64encode
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest

from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Answer, Behind, Door

FIELDS: dict[str, Any] = {
    "to": ["Ann <ann@world.test>", "bob@world.test"],
    "bcc": "carl@world.test",
    "html": "<p>Hi</p>",
    "from_name": "",
    "reply_to": "help@world.test",
    "headers": {"X-Order": "1"},
    "tags": ["t"],
    "metadata": {"k": "v"},
    "tracking": {"opens": False},
}
OWN = {"id", "message_id", "created_at", "resent_from", "scheduled_at", "sent_at", "status", "unified_status"}


async def resend(door: Door, email_id: str, key: str | None = None, body: Any = None) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await door.ask("POST", f"/emails/{email_id}/resend", body, **headers)


async def test_it_is_the_same_email_with_an_identity_of_its_own(door: Door, behind: Behind) -> None:
    first = await door.sent(**FIELDS)
    answer = await resend(door, first["id"])
    assert answer.status == 202
    assert answer.data["resent_from"] == first["id"]
    again = answer.data
    assert again["id"] != first["id"]
    assert again["to"] == first["to"]
    old, new = (await door.show(first["id"], "content")).data, (await door.show(again["id"], "content")).data
    assert new["resent_from"] == first["id"]
    differing = {name for name in old if old[name] != new[name]}
    assert {"id", "message_id", "resent_from"} <= differing <= OWN
    await behind.project(again["id"])
    assert (await door.list_()).data[0]["resent_from"] == first["id"]


async def test_the_message_is_the_same_but_for_what_is_made_for_each(door: Door) -> None:
    alone = FIELDS | {"to": "ann@world.test", "cc": None, "bcc": None}  # several get no link to leave by
    first = await door.sent(**alone, unsubscribe=True)
    again = (await resend(door, first["id"])).data
    (_, one, _), (_, other, _) = await door.raw(first["id"]), await door.raw(again["id"])
    assert len(one) == len(other)
    old = message_from_bytes(one, policy=policy.default)
    new = message_from_bytes(other, policy=policy.default)
    differing = {name for name, _ in old.items() if old[name] != new[name]}
    assert {"Message-ID", "List-Unsubscribe"} <= differing
    assert differing <= {"Message-ID", "List-Unsubscribe", "Date", "Content-Type"}
    assert old.get_boundary() != new.get_boundary()
    assert [part.get_content() for part in old.iter_parts()] == [
        part.get_content() for part in new.iter_parts()
    ]


@pytest.mark.parametrize("body", [None, {}])
async def test_it_needs_no_body(door: Door, body: Any) -> None:
    assert (await resend(door, (await door.sent())["id"], body=body)).status == 202


async def test_fifty_repeats_with_one_key_make_one_email(door: Door, behind: Behind) -> None:
    first = (await door.sent())["id"]
    answers = await asyncio.gather(*(resend(door, first, "again") for _ in range(50)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.data["id"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    assert await behind.emails_in_log() == 2


async def test_a_repeat_is_answered_alike_after_the_content_has_gone(door: Door, behind: Behind) -> None:
    first = (await door.sent())["id"]
    answer = await resend(door, first, "k")
    for email_id in (first, answer.data["id"]):
        await behind.project(email_id)
        await behind.trim(email_id)
    await behind.pool.execute("DELETE FROM projector.contents WHERE email_id = $1", first)
    repeated = await resend(door, first, "k")
    assert (repeated.status, repeated.data) == (202, answer.data)


async def test_a_key_of_another_request_is_a_mismatch(door: Door) -> None:
    first, other = (await door.sent("one"))["id"], (await door.sent())["id"]
    assert (await resend(door, first, "two")).status == 202
    for answer in (await resend(door, other, "two"), await resend(door, first, "one")):
        assert (answer.status, answer.error["code"]) == (409, "IDEMPOTENCY_MISMATCH")


async def test_expired_content_is_409_and_nothing_is_sent(door: Door, behind: Behind) -> None:
    first = (await door.sent())["id"]
    await behind.project(first)
    await behind.trim(first)
    await behind.pool.execute("DELETE FROM projector.contents WHERE email_id = $1", first)
    answer = await resend(door, first)
    assert (answer.status, answer.error["code"]) == (409, "CONFLICT")
    assert answer.error["details"] == [{"path": "$.content", "message": "content_expired"}]
    assert await behind.emails_in_log() == 0


async def test_content_that_may_be_deleted_any_moment_is_expired(door: Door, behind: Behind) -> None:
    """Its files could go before the new email's row refers to them."""
    first = (await door.sent(attachments=[{"filename": "a.txt", "content": "aGk"}]))["id"]
    await behind.project(first)
    due = "INSERT INTO projector.expiries (workspace, email_id, expires_at) VALUES ($1, $2, now() + $3)"
    await behind.pool.execute(due, behind.name, first, timedelta(hours=1))
    assert (await resend(door, first)).status == 202
    await behind.pool.execute(due, behind.name, first, timedelta(0))
    answer = await resend(door, first)
    assert (answer.status, answer.error["details"][0]["message"]) == (409, "content_expired")


async def test_files_that_went_with_the_content_are_expired_and_not_lost(
    door: Door, behind: Behind, house: House
) -> None:
    """Also while the log still has what the email said."""
    data = b"gone with the content"
    first = (await door.sent(attachments=[{"filename": "a.txt", "content": b64encode(data).decode()}]))["id"]
    await behind.project(first)
    [kept] = [one for one in forms.kept(house.home / "content") if one.read_bytes() == data]
    kept.unlink()
    assert (await resend(door, first)).error["details"][0]["message"] == "content_lost"
    await behind.pool.execute("DELETE FROM projector.contents WHERE email_id = $1", first)
    answers = [await resend(door, first), await door.ask("GET", f"/emails/{first}/raw")]
    assert {answer.error["details"][0]["message"] for answer in answers} == {"content_expired"}


@pytest.mark.parametrize("change", [{"disabled": True}, {"identities": ()}])
async def test_an_account_that_may_not_send_any_more_is_422(
    door: Door, behind: Behind, change: dict[str, Any]
) -> None:
    first = (await door.sent())["id"]
    await behind.change_account(**change)
    await asyncio.sleep(0.7)
    answer = await resend(door, first)
    assert (answer.status, answer.error["code"]) == (422, "SMTP_ACCOUNT_REQUIRED")


async def test_what_is_not_there_cannot_be_sent_again(door: Door) -> None:
    assert (await resend(door, str(uuid.uuid4()))).status == 404
    assert (await resend(door, str(uuid.uuid4()), "a" * 300)).status == 400


async def test_a_body_that_asks_for_something_else_is_refused(door: Door, behind: Behind) -> None:
    first = (await door.sent())["id"]
    answer = await resend(door, first, body={"to": "other@world.test"})
    assert (answer.status, answer.error["code"]) == (400, "VALIDATION_ERROR")
    assert await behind.emails_in_log() == 1


async def test_files_stay_where_they_are_and_are_named_by_both(
    door: Door, behind: Behind, house: House
) -> None:
    file = {"filename": "a.txt", "content": "aGk="}
    first = await door.sent("first", attachments=[file])
    before = set((house.home / "content").rglob("*"))
    answers = await asyncio.gather(*(resend(door, first["id"], "again") for _ in range(20)))
    (email_id,) = {answer.data["id"] for answer in answers}
    assert set((house.home / "content").rglob("*")) == before
    keys = [(await behind.history(one))[0].event.email.attachments[0].key for one in (first["id"], email_id)]
    assert keys[0] == keys[1]
    for one in (first["id"], email_id):
        status, whole, _ = await door.raw(one)
        assert status == 200
        assert b"aGk=" in whole


async def test_an_email_whose_file_is_lost_is_409(door: Door, house: House) -> None:
    first = await door.sent(attachments=[{"filename": "a.txt", "content": "bG9zdA=="}])
    for path in (house.home / "content").rglob("*"):
        if path.is_file() and path.read_bytes() == b"lost":
            path.unlink()
    answer = await resend(door, first["id"])
    assert (answer.status, answer.error["details"][0]["message"]) == (409, "content_lost")
    assert (await door.raw(first["id"]))[0] == 409
