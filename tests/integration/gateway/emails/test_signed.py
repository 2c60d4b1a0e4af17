"""From an identity that asks for DKIM to the mail that arrives: what DNS is told to show verifies it."""

import asyncio
import base64
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from shared.runtime.configuration import Smtp
from tests.controls import dispatching, dkim_reader
from tests.controls.eventually import eventually
from tests.controls.servers import MailboxAddress
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Behind, Door

MAILS: dict[str, dict[str, Any]] = {
    "text": {"text": "Zażółć gęślą jaźń\n.\n\n  trailing  \n\n\n"},
    "files": {
        "html": "<p>Invoice</p>",
        "unsubscribe": True,
        "headers": {"References": "<1@world.test> <2@world.test>", "X-Order": "4711"},
        "attachments": [
            {"filename": "žluť.bin", "content": base64.b64encode(bytes(range(256)) * 900).decode()}
        ],
    },
}


@pytest.fixture
def relay(house: House, mailbox: MailboxAddress) -> Iterator[MailboxAddress]:
    """A mailbox, and a dispatcher that brings the gateway's mail to it."""
    dispatcher = dispatching.a_dispatcher(house.home, house.nats_url).start(within=60)
    yield mailbox
    dispatcher.stop()


async def signing(door: Door, behind: Behind, port: int, address: str) -> dict[str, Any]:
    """Open an account that signs, and have its mail brought to a port of this machine."""
    account = {
        "name": "signed", "host": "smtp.example.com", "port": 25, "default": True,
        "identities": [{"address": address, "dkim": ["rsa", "ed25519"]}],
    }  # fmt: skip
    answer = await door.ask("POST", "/accounts", account)
    assert answer.status == 201, answer.body
    await behind.change_account(smtp=Smtp(host="127.0.0.1", port=port, tls="none"))
    await asyncio.sleep(0.7)  # a changed account is with every process within half a second
    opened: dict[str, Any] = answer.data
    return opened


def received(mailbox: MailboxAddress, message_id: str) -> bytes | None:
    for message in dispatching.messages(mailbox.url):
        with urllib.request.urlopen(f"{mailbox.url}/messages/{message['id']}/raw", timeout=5) as answer:
            raw: bytes = answer.read()
        if message_id.encode() in raw:
            return raw
    return None


@pytest.mark.parametrize("address", ["hello@sendlog.test", "hello@bücher.test"])
@pytest.mark.parametrize("mail", MAILS)
async def test_what_arrives_is_verified_by_what_dns_is_to_show(
    door: Door, behind: Behind, relay: MailboxAddress, mail: str, address: str
) -> None:
    account = await signing(door, behind, relay.smtp_port, address)
    records = {key["record_name"]: key["record_value"] for key in account["identities"][0]["dkim"]}
    sent = await door.sent(**MAILS[mail])

    async def has_arrived() -> bool:
        return received(relay, sent["message_id"]) is not None

    await eventually(has_arrived, within=20)
    arrived = received(relay, sent["message_id"])
    assert arrived is not None
    assert dkim_reader.verdicts(arrived, records.__getitem__) == [True, True]
    assert (await door.raw(sent["id"]))[1] == arrived


async def test_the_bytes_are_equal_each_time_they_are_made(door: Door, behind: Behind) -> None:
    await signing(door, behind, 25, "hello@sendlog.test")
    sent = await door.sent(**MAILS["files"])
    first = (await door.raw(sent["id"]))[1]
    assert first.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=sendlog.test;")
    assert (await door.raw(sent["id"]))[1] == first
