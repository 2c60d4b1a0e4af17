"""An email sent as a form: what is taken, and as what it is kept."""

import asyncio
import hashlib
import os

import aiohttp
import pytest

from shared.events import email
from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Behind, Door
from tests.integration.gateway.emails.forms import file, form, text

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _nothing_before(house: House) -> None:
    forms.empty(house.home / "content")


def _keeps(house: House, files: int) -> None:
    assert len(forms.kept(house.home / "content")) == files


async def _record(behind: Behind, email_id: str) -> email.Email:
    [record] = await behind.history(email_id)
    sent: email.Email = record.event.email
    return sent


async def test_a_form_is_an_email_with_its_files(door: Door, behind: Behind, house: House) -> None:
    blob, dotted = os.urandom(3 * MIB), b".\r\n..\r\nn\xc3\xa4ive\r\n.\r\n"
    answer = await forms.post(
        door,
        form(
            file("blob.bin", blob, "Content-Type: application/octet-stream"),
            text("to", "ann@world.test"),
            file("ž-naïve.txt", dotted, "Content-Type: text/plain; charset=utf-8", name="to"),
            text("to", "Bob <bob@world.test>"),
            text("subject", "S"),
            text("tags", "one"), text("tags", '["two", "three"]'),
            text("metadata", '{"a": "b"}', "Content-Type: application/json"),
            text("tracking", '{"opens": false}'),
            file("logo.png", b"\x89PNG", "Content-ID: <logo@x>", name="whatever"),
            text("html", '<img src="cid:logo@x">'), text("text", "T"),
            good=False,
        ),
    )  # fmt: skip
    assert answer.status == 202, answer.body
    assert answer.data["to"] == ["ann@world.test", "Bob <bob@world.test>"]
    shown = (await door.show(answer.data["id"])).data
    assert [(one["filename"], one["contentType"], one["sizeBytes"], one["contentId"]) for one in shown["attachments"]] == [
        ("blob.bin", "application/octet-stream", len(blob), None),
        ("ž-naïve.txt", "text/plain; charset=utf-8", len(dotted), None),
        ("logo.png", "image/png", 4, "logo@x"),
    ]  # fmt: skip
    assert (shown["tags"], shown["metadata"]) == (["one", "two", "three"], {"a": "b"})
    assert shown["tracking"]["opens"] is False
    kept = await _record(behind, answer.data["id"])
    assert [one.disposition for one in kept.attachments] == ["attachment", "attachment", "inline"]
    for one, data in zip(kept.attachments, (blob, dotted, b"\x89PNG"), strict=True):
        assert one.sha256 == hashlib.sha256(data).hexdigest()
        assert (house.home / "content" / one.key).read_bytes() == data
    _keeps(house, 3)


async def test_a_client_library_is_understood(door: Door) -> None:
    data = aiohttp.FormData(quote_fields=False)
    for name, value in forms.GOOD:
        data.add_field(name, value)
    data.add_field("file", b"hi", filename="näme 1.txt", content_type="text/plain")
    head = {"Authorization": f"Bearer {door.token}"}
    async with door.session.post(f"{door.url}/api/v1{forms.PATH}", data=data, headers=head) as answer:
        body = await answer.json()
    assert answer.status == 202, body
    shown = (await door.show(body["data"]["id"])).data
    assert [one["filename"] for one in shown["attachments"]] == ["näme 1.txt"]


async def test_base64_and_a_form_make_one_and_the_same_record(door: Door, behind: Behind) -> None:
    by_form = await forms.post(door, form(file("a.txt", b"hi")))
    by_json = await door.sent(attachments=[{"filename": "a.txt", "content": "aGk"}])
    records = [await _record(behind, one) for one in (by_form.data["id"], by_json["id"])]
    described = [
        (a.filename, a.content_type, a.size, a.sha256, a.content_id, a.disposition)
        for record in records for a in record.attachments
    ]  # fmt: skip
    assert described[0] == described[1]
    assert records[0].body == records[1].body
    assert by_form.data["to"] == by_json["to"] == "ann@world.test"


async def test_a_file_field_in_which_nothing_was_chosen_is_no_file(door: Door, house: House) -> None:
    answer = await forms.post(door, form(file("", b"", "Content-Type: application/octet-stream")))
    assert answer.status == 202
    assert (await door.show(answer.data["id"])).data["attachments"] == []
    answer = await forms.post(door, form(file("empty.txt", b"")))
    assert (await door.show(answer.data["id"])).data["attachments"][0]["sizeBytes"] == 0
    _keeps(house, 1)


async def test_every_problem_of_a_form_is_told_and_nothing_is_kept(door: Door, house: House) -> None:
    answer = await forms.post(
        door,
        form(
            file("good.txt", b"x" * 100_000),
            file("a/b.txt", b"x", "Content-Type: message/rfc822", "Content-ID: <a b>"),
            file("", b"nameless"),
            file("later.txt", b"x"),
            text("color", "red"), text("odd name", "x"),
            text("subject", "twice"),
            text("cc", "[1"), text("bcc", "not an address"),
            text("headers", '{"Subject": "x"}'), text("metadata", "no json"), text("unsubscribe", "perhaps"),
            text("tags", "nul\0"),
            ('Content-Disposition: form-data; name="from"\r\nContent-Type: image/png', b"x"),
            text("attachments", "[]"),
            text("reply_to", "ann@world.test"),
        ),
    )  # fmt: skip
    assert answer.status == 400
    assert set(answer.paths) >= {
        "$.attachments[1].filename", "$.attachments[1].content_type", "$.attachments[1].content_id",
        "$.attachments[2].filename", "$.color", '$["odd name"]', "$.subject", "$.cc", "$.bcc", '$.headers["Subject"]',
        "$.metadata", "$.tags", "$.from", "$.attachments",
    }  # fmt: skip
    assert "$.attachments[3].filename" not in answer.paths
    _keeps(house, 0)


@pytest.mark.parametrize(
    "name", ["a%0D%0AX: y", "..", "a\u2028b", "a\x85b", "C:\\a.txt", "x" * 256, "a%0ab"], ids=range(7)
)
async def test_a_filename_never_becomes_more_than_a_name(door: Door, house: House, name: str) -> None:
    answer = await forms.post(door, form(file(name, b"x")))
    assert (answer.status, answer.paths) == (400, ["$.attachments[0].filename"])
    _keeps(house, 0)


async def test_what_the_email_itself_cannot_be_leaves_no_files(
    door: Door, behind: Behind, house: House
) -> None:
    answer = await forms.post(door, form(file("a.txt", b"x"), text("from", "eve@elsewhere.test")))
    assert answer.status == 422
    _keeps(house, 0)
    await behind.change_account(disabled=True)
    answer = await forms.post(door, form(file("a.txt", b"x")))
    assert answer.status == 422
    _keeps(house, 0)


async def test_a_repeat_is_answered_again_and_keeps_one_copy(
    door: Door, behind: Behind, house: House
) -> None:
    body = form(file("a.txt", b"x" * 200_000))
    first = await forms.post(door, body, Idempotency_Key="k")
    again = await forms.post(door, body, Idempotency_Key="k")
    assert (first.status, again.status) == (202, 202)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    _keeps(house, 1)
    for other in (form(file("a.txt", b"y" * 200_000)), form(file("b.txt", b"x" * 200_000)), form()):
        answer = await forms.post(door, other, Idempotency_Key="k")
        assert (answer.status, answer.error["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    _keeps(house, 1)
    await behind.project(first.data["id"])
    await behind.trim(first.data["id"])
    assert (await forms.post(door, body, Idempotency_Key="k")).data["id"] == first.data["id"]
    _keeps(house, 1)


async def test_equal_forms_at_once_make_one_email_with_one_copy(door: Door, house: House) -> None:
    body = form(file("a.txt", b"x" * 300_000))
    answers = await asyncio.gather(*[forms.post(door, body, Idempotency_Key="k") for _ in range(12)])
    assert {answer.status for answer in answers} == {202}
    assert len({answer.data["id"] for answer in answers}) == 1
    _keeps(house, 1)
    shown = (await door.show(answers[0].data["id"])).data
    path = f"/api/v1/emails/{shown['id']}/attachments/{shown['attachments'][0]['id']}"
    async with door.session.get(door.url + path, headers={"Authorization": f"Bearer {door.token}"}) as got:
        assert await got.read() == b"x" * 300_000
