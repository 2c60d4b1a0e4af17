"""What leaves a dispatcher is signed for the identity that asks, and does not leave when it cannot be."""

import asyncio
import hashlib
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from shared.events import delivery
from shared.events.email import Attachment
from shared.events.record import Record
from shared.mail import dkim
from shared.runtime import keyring
from shared.runtime.configuration import Account, DkimKey, Identity
from shared.runtime.content import ContentStore
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from tests.controls import dispatching, dkim_reader, runtime
from tests.controls.dispatching import an_account, history, messages, names
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.servers import MailboxAddress

KINDS: tuple[dkim.Algorithm, ...] = ("rsa", "ed25519")
FILE = bytes(range(256)) * 2000


class World(NamedTuple):
    log: Log
    publisher: Publisher
    mailbox: MailboxAddress
    account: Account
    home: Path


@pytest.fixture
async def world(clean_nats: str, mailbox: MailboxAddress, home: Path) -> AsyncIterator[World]:
    """A dispatcher whose account signs with both kinds of key."""
    process = dispatching.a_dispatcher(home, clean_nats)
    account = signing(an_account(mailbox.smtp_port), keyring.load(home / "keyring"))
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as (log, publisher):
        await dispatching.store(log, account)
        await asyncio.to_thread(process.start, within=60)
        try:
            yield World(log, publisher, mailbox, account, home)
        finally:
            await asyncio.to_thread(process.stop)


def signing(account: Account, ring: keyring.Keyring) -> Account:
    """Return the account with an identity that asks for both keys, and the keys."""
    made = []
    for kind in KINDS:
        private = dkim.new_private_key(kind)
        made.append(
            DkimKey(
                domain="sendlog.test", algorithm=kind, selector=kind, public=dkim.public_part(private),
                secret=ring.seal(dkim.stored(private), "default", account.id), created_at=datetime.now(UTC),
            )
        )  # fmt: skip
    identity = Identity(address="hello@sendlog.test", dkim=KINDS)
    return msgspec.structs.replace(account, identities=(identity,), dkim_keys=tuple(made))


async def test_a_signed_email_verifies_where_it_arrives(world: World) -> None:
    await sent(world, a_request(text="Zażółć gęślą jaźń\n.\n\n\n", unsubscribe_url="https://t.test/u/x"))
    message = await raw(world)
    assert verdicts(world, message) == [True, True]
    assert b"list-unsubscribe:list-unsubscribe-post" in message.replace(b"\r\n  ", b"")
    assert verdicts(world, message.replace(b"https://t.test/u/x", b"https://t.test/u/y")) == [False, False]


async def test_a_signed_email_with_a_file_verifies_where_it_arrives(world: World) -> None:
    await ContentStore(f"file://{world.home}/content").put("default/file", FILE)
    file = Attachment(
        id="1", filename="žluť.bin", content_type="application/octet-stream", size=len(FILE),
        sha256=hashlib.sha256(FILE).hexdigest(), key="default/file",
    )  # fmt: skip
    await sent(world, a_request(attachments=(file,)))
    assert verdicts(world, await raw(world)) == [True, True]


async def test_an_account_that_no_longer_asks_is_no_longer_signed_for(world: World) -> None:
    identity = Identity(address="hello@sendlog.test")
    plain = msgspec.structs.replace(world.account, identities=(identity,), dkim_keys=())
    await sent(world, a_request())
    await dispatching.store(world.log, plain)

    async def unsigned() -> bool:
        await sent(world, a_request())
        return verdicts(world, await raw(world)) == []

    await eventually(unsigned, within=20)


async def test_an_email_that_cannot_be_signed_waits_and_is_not_sent(world: World) -> None:
    foreign = keyring.Keyring(keyring._File("k1", {"k1": bytes(32)}))
    await dispatching.store(world.log, signing(world.account, foreign))

    async def waits() -> bool:
        item = a_request()
        await world.publisher.append(item, guard=0)
        await eventually(lambda: has_more(world, item))
        last = (await history(world.log, item))[-1].event
        return isinstance(last, delivery.Deferred) and last.reason.code == "account_secret_unreadable"

    await eventually(waits, within=20)


async def has_more(world: World, item: Record) -> bool:
    return (await names(world.log, item))[-1] in ("sent", "deferred", "failed")


async def sent(world: World, item: Record) -> None:
    await world.publisher.append(item, guard=0)
    await eventually(lambda: has_more(world, item))
    assert (await names(world.log, item))[-1] == "sent"


async def raw(world: World) -> bytes:
    newest = messages(world.mailbox.url)[0]["id"]

    def read() -> bytes:
        with urllib.request.urlopen(f"{world.mailbox.url}/messages/{newest}/raw", timeout=5) as answer:
            return bytes(answer.read())

    return await asyncio.to_thread(read)


def verdicts(world: World, message: bytes) -> list[bool]:
    records = {
        dkim.record_name(key.selector, key.domain): dkim.record_value(key.algorithm, key.public)
        for key in world.account.dkim_keys
    }
    return dkim_reader.verdicts(message, records.__getitem__)
