"""One dispatcher, a broker and a next hop: what becomes of an email whose files are whole, damaged, gone or too many."""

import asyncio
import json
import os
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.events import delivery, email
from shared.events.record import Record
from shared.runtime.content import ContentStore
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from tests.controls import dispatching, runtime
from tests.controls.attachments import LONE_DOT, a_store, damage, remove, stored
from tests.controls.dispatching import an_account, history, names
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.servers import MailboxAddress
from tests.integration.smtp.scripted import Server, mta, serving


class World(NamedTuple):
    log: Log
    publisher: Publisher
    store: ContentStore
    home: Path

    async def send(self, *files: email.Attachment, to: str = "ann@world.test", **fields: Any) -> Record:
        item = a_request(to, attachments=files, **fields)
        await self.publisher.append(item, guard=0)
        return item

    async def ended(self, item: Record, expected: list[str]) -> Any:
        """Return the last event once the email's story is this."""

        async def is_so() -> bool:
            found = await names(self.log, item)
            assert found == expected[: len(found)], found
            return found == expected

        await eventually(is_so, within=20)
        return (await history(self.log, item))[-1].event

    def complaints(self, event: str) -> list[dict[str, Any]]:
        """Return what the dispatcher logged as an error of this name."""
        lines = (self.home / "dispatcher.log").read_text().splitlines()
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in said if line.get("event") == event and line.get("level") == "error"]


@asynccontextmanager
async def a_world(nats: str, home: Path, port: int) -> AsyncIterator[World]:
    await runtime.bootstrap(nats)
    async with runtime.open_log(nats) as (log, publisher):
        await dispatching.store(log, an_account(port))
        process = dispatching.a_dispatcher(home, nats)
        await asyncio.to_thread(process.start, within=60)
        try:
            yield World(log, publisher, a_store(home), home)
        finally:
            await asyncio.to_thread(process.stop)


@pytest.fixture
async def world(clean_nats: str, mailbox: MailboxAddress, home: Path) -> AsyncIterator[World]:
    async with a_world(clean_nats, home, mailbox.smtp_port) as made:
        yield made


@pytest.fixture
async def hop() -> AsyncIterator[Server]:
    """A next hop whose every word is known; it takes 200,000 bytes."""
    async with serving(mta(offers=["PIPELINING", "SIZE 200000"])) as server:
        yield server


@pytest.fixture
async def hop_world(clean_nats: str, hop: Server, home: Path) -> AsyncIterator[World]:
    async with a_world(clean_nats, home, hop.port) as made:
        yield made


def raw(url: str, number: int = 0) -> bytes:
    with urllib.request.urlopen(f"{url}/messages", timeout=5) as answer:
        identity = json.load(answer)[number]["id"]
    with urllib.request.urlopen(f"{url}/messages/{identity}/raw", timeout=5) as answer:
        found: bytes = answer.read()
    return found


async def test_files_arrive_bit_by_bit_with_their_names(world: World, mailbox: MailboxAddress) -> None:
    random = os.urandom(3 * 1024 * 1024)
    files = [
        await stored(world.store, random, "random.bin"),
        await stored(world.store, LONE_DOT, "ž-naïve.txt", content_type="text/plain"),
        await stored(
            world.store,
            b"png",
            "logo.png",
            content_type="image/png",
            content_id="logo@x",
            disposition="inline",
        ),
    ]
    html = "<p>Look: <img src='cid:logo@x'></p>"
    body = email.pack(email.Content(html=html, text="Look.\n.\n"))
    item = await world.send(*files, body=body)
    sent = await world.ended(item, ["requested", "sending", "sent"])
    message = message_from_bytes(raw(mailbox.url), policy=policy.default)
    found = {part.get_filename(): part.get_payload(decode=True) for part in message.walk()}
    assert found["random.bin"] == random
    assert found["ž-naïve.txt"] == LONE_DOT
    assert found["logo.png"] == b"png"
    shown = message.get_body(preferencelist=("html",))
    assert shown is not None
    assert shown.get_content().strip() == html
    assert sent.conversation is not None


async def test_a_damaged_file_fails_the_email_for_good_and_the_next_one_is_sent(
    hop_world: World, hop: Server
) -> None:
    file = await stored(hop_world.store, os.urandom(100_000))
    damage(hop_world.home, file, at=99_999)
    item = await hop_world.send(file)
    failed = await hop_world.ended(item, ["requested", "sending", "failed"])
    assert isinstance(failed, delivery.Failed)
    assert (failed.reason.code, failed.reason.category) == ("content_lost", "content")
    assert not failed.reason.retryable
    assert file.key in failed.reason.message
    assert hop.messages == []
    assert hop_world.complaints("content_lost")[0]["email_id"] == item.email_id
    await hop_world.ended(await hop_world.send(), ["requested", "sending", "sent"])
    assert hop.connections == 2
    assert len(hop.messages) == 1


async def test_a_missing_file_fails_the_email_without_a_word_to_the_next_hop(
    hop_world: World, hop: Server
) -> None:
    file = await stored(hop_world.store, b"x")
    remove(hop_world.home, file)
    item = await hop_world.send(file)
    failed = await hop_world.ended(item, ["requested", "failed"])
    assert failed.reason.code == "content_lost"
    assert hop_world.complaints("content_lost")[0]["email_id"] == item.email_id
    assert hop.connections == 0


async def test_a_message_larger_than_the_server_takes_fails_at_once_and_says_how_much_it_takes(
    hop_world: World, hop: Server
) -> None:
    file = await stored(hop_world.store, os.urandom(200_000))
    failed = await hop_world.ended(await hop_world.send(file), ["requested", "sending", "failed"])
    assert failed.reason.code == "message_too_large"
    assert "200000" in failed.reason.message
    assert not failed.reason.retryable
    assert set(hop.verbs()) <= {"EHLO", "QUIT"}
    assert b"Subject" not in hop.heard


async def test_a_store_that_is_not_there_loses_nothing_and_burns_no_attempt(
    hop_world: World, hop: Server
) -> None:
    file = await stored(hop_world.store, b"x" * 1000)
    content, away = hop_world.home / "content", hop_world.home / "away"
    content.rename(away)
    item = await hop_world.send(file)
    await eventually(partial(_logged, hop_world, "will_come_again"))
    assert await names(hop_world.log, item) == ["requested"]
    assert hop.lines == []
    away.rename(content)
    sent = await hop_world.ended(item, ["requested", "sending", "sent"])
    assert sent.attempt == 1


async def test_emails_may_share_a_file(world: World, mailbox: MailboxAddress) -> None:
    data = os.urandom(50_000)
    file = await stored(world.store, data)
    items = [await world.send(file, to=f"r{n}@world.test") for n in range(3)]
    for item in items:
        await world.ended(item, ["requested", "sending", "sent"])
    for number in range(3):
        message = message_from_bytes(raw(mailbox.url, number), policy=policy.default)
        assert [part.get_payload(decode=True) for part in message.walk()][-1] == data


def _logged(world: World, event: str) -> bool:
    return f'"{event}"' in (world.home / "dispatcher.log").read_text()
