"""What Dovecot hands out is what was attached: through a real Postfix, with STARTTLS and a login."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.events import delivery, email
from shared.mail.address import Mailbox
from shared.runtime import keyring
from shared.runtime.configuration import Smtp
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from tests.controls import dispatching, mailworld, runtime
from tests.controls.attachments import LONE_DOT, a_store, stored
from tests.controls.dispatching import an_account, history
from tests.controls.emails import ACCOUNT, WORKSPACE, a_request
from tests.controls.eventually import eventually
from tests.controls.mailworld import MailWorld


@pytest.fixture(scope="module")
def mail() -> Iterator[MailWorld]:
    mailworld.need()
    world = MailWorld()
    yield world
    world.stop()


class Sending(NamedTuple):
    log: Log
    publisher: Publisher
    home: Path


@pytest.fixture
async def sending(clean_nats: str, mail: MailWorld, home: Path) -> AsyncIterator[Sending]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as (log, publisher):
        process = dispatching.a_dispatcher(home, clean_nats)
        sealed = keyring.load(home / "keyring").seal(mailworld.PASSWORD, WORKSPACE, ACCOUNT)
        smtp = Smtp(
            host="localhost",
            port=mail.submission,
            tls="starttls",
            auth="password",
            username="sender@platform.test",
            secret=sealed,
            tls_ca=mail.authority,
        )
        await dispatching.store(log, an_account(0, smtp=smtp))
        await asyncio.to_thread(process.start, within=60)
        try:
            yield Sending(log, publisher, home)
        finally:
            await asyncio.to_thread(process.stop)


async def test_every_file_is_in_the_mailbox_bit_by_bit(sending: Sending, mail: MailWorld) -> None:
    store, random = a_store(sending.home), os.urandom(3 * 1024 * 1024)
    html = "<p>Grüße <img src='cid:logo@x'></p>\n.\n"
    files = (
        await stored(store, random, "random.bin"),
        await stored(store, LONE_DOT, "ž-naïve.txt", content_type="text/plain; charset=utf-8"),
        await stored(store, b"", "empty.dat"),
        await stored(store, b"\0\xff" * 99, "請求書 " * 12 + ".pdf", content_type="application/pdf"),
        await stored(
            store, b"png", "logo.png", content_type="image/png", content_id="logo@x", disposition="inline"
        ),
    )
    item = a_request(
        "alice@world.test",
        from_=Mailbox("sender@platform.test", "Sendlog"),
        attachments=files,
        body=email.pack(email.Content(html=html, text="Grüße\n.\n..\n")),
        tracking=email.Tracking(delivery=False),
    )
    await sending.publisher.append(item, guard=0)

    async def is_sent() -> bool:
        return isinstance((await history(sending.log, item))[-1].event, delivery.Sent)

    await eventually(is_sent, within=30)
    (raw,) = await eventually(lambda: mail.received("alice@world.test"), within=20)
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    found = {part.get_filename(): part.get_payload(decode=True) for part in leaves[2:]}
    assert found == {
        "random.bin": random,
        "ž-naïve.txt": LONE_DOT,
        "empty.dat": b"",
        ("請求書 " * 12 + ".pdf"): b"\0\xff" * 99,
        "logo.png": b"png",
    }
    bodies = [part.get_content().replace("\r\n", "\n") for part in leaves[:2]]
    assert bodies == ["Grüße\n.\n..\n", html]
    assert not [part.defects for part in message.walk() if part.defects]
