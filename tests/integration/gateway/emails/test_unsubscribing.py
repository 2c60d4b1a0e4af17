"""The address to unsubscribe by: signed for this email alone, in the header of every attempt."""

import asyncio
import email.policy
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from services.gateway.emails import unsubscribing
from shared.events import email as email_
from shared.events import submission
from shared.runtime import keyring, message, tokens
from shared.runtime.content import ContentStore
from tests.controls.emails import an_origin
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import GOOD, Behind, Door


async def accepted(door: Door, behind: Behind, **given: Any) -> tuple[str, email_.Email]:
    answer = await door.send(**given)
    assert answer.status == 202, answer.body
    (record,) = await behind.history(answer.data["id"])
    assert isinstance(record.event, submission.Requested)
    return answer.data["id"], record.event.email


def opened(url: str | None, home: Path) -> tokens.Pointer | None:
    assert url is not None
    start, _, token = url.rpartition("/")
    assert start == "http://localhost:8081/u"
    payload = tokens.Tokens(keyring.load(home / "keyring")).verify("unsubscribe", token)
    return None if payload is None else tokens.pointer(payload)


async def test_an_email_without_the_wish_has_no_address(door: Door, behind: Behind) -> None:
    for given in ({}, {"unsubscribe": False}, {"unsubscribe": None}):
        assert (await accepted(door, behind, **given))[1].unsubscribe_url is None


async def test_the_address_names_the_email_and_its_only_recipient(
    door: Door, behind: Behind, house: House
) -> None:
    email_id, sent = await accepted(door, behind, unsubscribe=True)
    assert opened(sent.unsubscribe_url, house.home) == tokens.Pointer(behind.name, email_id, 0)


BOTH = ["ann@world.test", "bob@world.test"]


async def test_recipients_who_share_a_message_are_offered_no_link_that_cannot_tell_them_apart(
    door: Door, behind: Behind
) -> None:
    for fields in ({"to": BOTH}, {"cc": BOTH[1]}, {"bcc": BOTH[1]}):
        for path in ("/emails/send", "/emails/validate"):
            refused = await door.ask("POST", path, GOOD | fields | {"unsubscribe": True})
            assert (refused.status, refused.paths) == (400, ["$.unsubscribe"]), path
            assert "/emails/batch" in refused.error["details"][0]["message"]
    assert (await door.send(to=BOTH, unsubscribe=False)).status == 202
    assert (await door.send(to=[BOTH[0]] * 2, unsubscribe=True)).status == 202


async def test_recipients_who_share_a_message_leave_by_mail_where_the_account_has_a_domain(
    door: Door, behind: Behind, house: House
) -> None:
    await behind.change_account(return_path_domain="bounces.test")
    await asyncio.sleep(0.7)  # as long as a gateway may go by what it knows of an account
    first, sent = await accepted(door, behind, to=BOTH, unsubscribe=True)
    again = (await door.ask("POST", f"/emails/{first}/resend")).data["id"]
    (record,) = await behind.history(again)
    for one in (sent, record.event.email):
        made = await written(one, house)
        assert one.unsubscribe_address
        assert made["List-Unsubscribe"] == f"<mailto:{one.unsubscribe_address}?subject=unsubscribe>"
        assert made["List-Unsubscribe-Post"] is None
    assert record.event.email.unsubscribe_address != sent.unsubscribe_address


async def written(sent: email_.Email, house: House) -> EmailMessage:
    store = ContentStore(house.home.as_uri())
    opened = message.open_message(sent, email_.Content(text="Hello."), store, an_origin())
    return message_from_bytes(opened.whole or b"", policy=email.policy.SMTP)


async def test_the_message_has_the_two_fields_of_one_click(door: Door, behind: Behind, house: House) -> None:
    _, sent = await accepted(door, behind, unsubscribe=True)
    made = await written(sent, house)
    assert made["List-Unsubscribe"] == f"<{sent.unsubscribe_url}>"
    assert made["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize("name", ["List-Unsubscribe", "list-unsubscribe-post"])
async def test_a_client_does_not_write_these_fields_itself(door: Door, name: str) -> None:
    answer = await door.send(headers={name: "<https://elsewhere.example/>"})
    assert answer.status == 400
    assert "unsubscribe" in answer.error["details"][0]["message"]


async def test_each_email_of_a_batch_has_its_own_address(door: Door, behind: Behind, house: House) -> None:
    people = [{"to": f"{name}@world.test"} for name in ("ann", "bob")]
    batch = {"subject": "News", "text": "Hello.", "unsubscribe": True, "recipients": people}
    answer = await door.ask("POST", "/emails/batch", batch)
    assert answer.status == 202, answer.body
    for item in answer.data:
        (record,) = await behind.history(item["id"])
        pointer = tokens.Pointer(behind.name, item["id"], 0)
        assert opened(record.event.email.unsubscribe_url, house.home) == pointer


async def test_an_email_sent_again_has_an_address_of_its_own(
    door: Door, behind: Behind, house: House
) -> None:
    first, _ = await accepted(door, behind, unsubscribe=True)
    again = (await door.ask("POST", f"/emails/{first}/resend")).data["id"]
    (record,) = await behind.history(again)
    assert opened(record.event.email.unsubscribe_url, house.home) == tokens.Pointer(behind.name, again, 0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "links.example.com",
        "ftp://a",
        "https://",
        "https://a b",
        "https://a>b",
        "https://a/?q",
        "https://ü",
    ],
)
def test_a_base_of_links_that_is_none_is_said_at_the_start(url: str) -> None:
    assert unsubscribing.base_problem(url)


@pytest.mark.parametrize("url", ["http://localhost:8081", "https://a.example/mail/", "http://[::1]:80"])
def test_a_base_of_links_may_have_a_port_and_a_path(url: str) -> None:
    assert unsubscribing.base_problem(url) is None


async def test_an_item_of_a_batch_with_several_recipients_is_refused_alike(door: Door) -> None:
    emails = [GOOD | {"unsubscribe": True, "to": to} for to in (BOTH[0], BOTH)]
    refused = await door.ask("POST", "/emails/batch", {"emails": emails})
    assert refused.status == 400, refused.body
    assert any(path.endswith("[1].unsubscribe") for path in refused.paths), refused.paths
