"""GET /emails/:id/raw: the bytes that are sent are the bytes that are shown."""

import asyncio
import base64
import json
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest

from shared.runtime.configuration import Smtp
from tests.controls import dispatching
from tests.controls.eventually import eventually
from tests.controls.servers import MailboxAddress
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import GOOD, Behind, Door

RICH: dict[str, Any] = {
    "to": ["Änne <ann@world.test>", "bob@world.test"],
    "cc": ["carl@world.test"],
    "bcc": ["secret@world.test"],
    "subject": "Zażółć gęślą jaźń " * 8,
    "html": "<p>Größe &amp; <b>mehr</b></p>" * 40,
    "reply_to": "Support <support@world.test>",
    "headers": {"X-Order": "4711", "X-Note": "naïve"},
}
LARGE: dict[str, Any] = {"to": "ann@world.test", "text": "".join(f"{uuid.uuid4()}\n.\n" for _ in range(9000))}
FILES: dict[str, Any] = {
    "to": "ann@world.test",
    "html": "<p>See <img src='cid:logo'></p>",
    "unsubscribe": True,
    "attachments": [
        {"filename": "ž-naïve.txt", "content": base64.b64encode(b"one\r\n.\r\ntwo").decode()},
        {"filename": "a.bin", "content": base64.b64encode(bytes(range(256)) * 1000).decode()},
        {"filename": "logo.png", "content": "iVBORw0KGgo=", "content_id": "logo"},
    ],
}


@pytest.fixture
def relay(house: House, mailbox: MailboxAddress) -> Iterator[MailboxAddress]:
    """A mailbox, and a dispatcher that brings the gateway's mail to it."""
    dispatcher = dispatching.a_dispatcher(house.home, house.nats_url).start(within=60)
    yield mailbox
    dispatcher.stop()


def received(mailbox: MailboxAddress, message_id: str) -> bytes | None:
    """Return the message as it arrived."""
    for message in dispatching.messages(mailbox.url):
        with urllib.request.urlopen(f"{mailbox.url}/messages/{message['id']}/raw", timeout=5) as answer:
            raw: bytes = answer.read()
        if message_id.encode() in raw:
            return raw
    return None


@pytest.mark.parametrize("fields", [RICH, LARGE, FILES, {}], ids=["rich", "large", "files", "plain"])
async def test_what_is_shown_is_what_arrives(
    door: Door, behind: Behind, relay: MailboxAddress, fields: dict[str, Any]
) -> None:
    await behind.change_account(smtp=Smtp(host="127.0.0.1", port=relay.smtp_port, tls="none"))
    await asyncio.sleep(0.7)  # a changed account is with every process within half a second
    sent = await door.sent(**fields)
    status, before, headers = await door.raw(sent["id"])
    assert status == 200

    async def has_arrived() -> bool:
        return received(relay, sent["message_id"]) is not None

    await eventually(has_arrived, within=20)
    assert received(relay, sent["message_id"]) == before
    await behind.project(sent["id"])
    await behind.trim(sent["id"])
    assert (await door.raw(sent["id"]))[1] == before
    assert headers["Content-Type"] == "message/rfc822"
    assert headers["Content-Disposition"] == f'attachment; filename="{sent["id"]}.eml"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert b"secret@world.test" not in before


async def test_a_head_tells_the_size_without_the_message(door: Door) -> None:
    sent = await door.sent()
    _, whole, _ = await door.raw(sent["id"])
    status, nothing, headers = await door.raw(sent["id"], "HEAD")
    assert (status, nothing, int(headers["Content-Length"])) == (200, b"", len(whole))


async def test_a_moved_email_is_dated_when_it_is_moved_to(door: Door) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=200)
    sooner = at - timedelta(days=199)
    sent = await door.sent(scheduled_at=at.isoformat())
    await door.ask("PATCH", f"/emails/{sent['id']}", {"scheduled_at": sooner.isoformat()})
    _, whole, _ = await door.raw(sent["id"])
    assert message_from_bytes(whole, policy=policy.default)["Date"].datetime == sooner


async def test_expired_content_is_409_and_says_so(door: Door, behind: Behind) -> None:
    sent = await door.sent()
    await behind.project(sent["id"])
    await behind.trim(sent["id"])
    await behind.pool.execute("DELETE FROM projector.contents WHERE email_id = $1", sent["id"])
    status, body, _ = await door.raw(sent["id"])
    error = json.loads(body)["error"]
    assert (status, error["code"], error["details"][0]["message"]) == (409, "CONFLICT", "content_expired")


async def test_damaged_content_is_409_and_the_email_is_shown_without_it(door: Door, behind: Behind) -> None:
    sent = await door.sent()
    await behind.project(sent["id"])
    await behind.trim(sent["id"])
    await behind.pool.execute("UPDATE projector.contents SET body = '\\xc1' WHERE email_id = $1", sent["id"])
    status, body, _ = await door.raw(sent["id"])
    assert (status, json.loads(body)["error"]["details"][0]["message"]) == (409, "content_lost")
    shown = await door.show(sent["id"], "content")
    assert (shown.status, shown.data["text"]) == (200, None)


async def test_an_unknown_email_has_no_message(door: Door) -> None:
    assert (await door.raw(str(uuid.uuid4())))[0] == 404


async def test_a_signed_message_is_shown_with_the_signature_it_arrives_with(
    door: Door, behind: Behind, house: House, relay: MailboxAddress
) -> None:
    account = (await door.ask("GET", "/accounts")).data[0]
    await behind.change_account(smtp=Smtp(host="smtp.example.com", port=25, tls="none"))
    changed = await door.ask(
        "PATCH", f"/accounts/{account['id']}",
        {"identities": [{"address": "hello@sendlog.test", "dkim": ["rsa", "ed25519"]}]},
    )  # fmt: skip
    assert changed.status == 200, changed.body
    await behind.change_account(smtp=Smtp(host="127.0.0.1", port=relay.smtp_port, tls="none"))
    await asyncio.sleep(0.7)
    for fields in ({}, FILES):
        sent = await door.sent(**fields)
        dry = await door.ask("POST", "/emails/validate", {**GOOD, **fields})
        _, shown, _ = await door.raw(sent["id"])
        assert shown.count(b"DKIM-Signature:") == 2
        assert dry.data["size"] == len(shown)

        async def has_arrived(message_id: str = sent["message_id"]) -> bool:
            return received(relay, message_id) is not None

        await eventually(has_arrived, within=30)
        assert received(relay, sent["message_id"]) == shown
