"""One dispatcher, a real broker and a real SMTP server: nobody who is suppressed when it sends is written to."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.events import delivery
from shared.events.record import Record
from shared.runtime import keyring
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import STREAM, Suppressions
from tests.controls import dispatching, runtime
from tests.controls.dispatching import an_account, history, messages, names
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.servers import MailboxAddress, Process


class World(NamedTuple):
    log: Log
    publisher: Publisher
    lists: Suppressions
    mailbox: MailboxAddress
    dispatcher: Process


@pytest.fixture
async def world(clean_nats: str, mailbox: MailboxAddress, home: Path) -> AsyncIterator[World]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as (log, publisher):
        await dispatching.store(log, an_account(mailbox.smtp_port))
        process = dispatching.a_dispatcher(home, clean_nats)
        lists = Suppressions(log.client, keyring.load(home / "keyring"))
        await lists.open()
        await asyncio.to_thread(process.start, within=60)
        try:
            yield World(log, publisher, lists, mailbox, process)
        finally:
            await asyncio.to_thread(process.stop)


async def _has(world: World, item: Record, wanted: list[str]) -> bool:
    return await names(world.log, item) == wanted


async def story(world: World, item: Record, *wanted: str) -> Any:
    """Append a request and return its last event, once the story is this."""
    await world.publisher.append(item, guard=0)
    await eventually(partial(_has, world, item, ["requested", *wanted]))
    return (await history(world.log, item))[-1].event


async def test_an_address_suppressed_a_moment_ago_gets_nothing(world: World) -> None:
    for number in range(20):
        await world.lists.add("default", f"User{number}@world.test", "manual")
        said = await story(world, a_request(f"user{number}@WORLD.test"), "suppressed")
        assert isinstance(said, delivery.Suppressed)
        assert said.reason.code == "suppressed"
        assert said.recipients[0].status == "suppressed"
    assert messages(world.mailbox.url) == []


async def test_the_others_get_the_email_and_the_suppressed_one_is_named(world: World) -> None:
    await world.lists.add("default", "ann@xn--bcher-kva.example", "complaint")
    item = a_request("ann@bücher.example", "bob@world.test", "550+x@world.test")
    said = await story(world, item, "sending", "sent")
    assert {one.address: one.status for one in said.recipients} == {
        "ann@bücher.example": "suppressed",
        "bob@world.test": "sent",
        "550+x@world.test": "failed",
    }
    (message,) = messages(world.mailbox.url)
    assert message["rcpt_to"] == ["bob@world.test"]


async def test_another_workspaces_list_and_a_removed_entry_hold_nobody_back(world: World) -> None:
    await world.lists.add("other", "ann@world.test", "manual")
    await world.lists.add("default", "ann@world.test", "manual")
    await world.lists.remove("default", "ann@world.test")
    await story(world, a_request("ann@world.test"), "sending", "sent")


async def test_a_hard_refusal_suppresses_before_it_is_told_and_the_next_email_is_not_sent(
    world: World,
) -> None:
    await story(world, a_request("550+gone@world.test"), "sending", "failed")
    entry = (await world.lists.find("default", ["550+gone@world.test"]))["550+gone@world.test"]
    assert (entry.reason, entry.detail) == ("bounce", "550 5.1.1 User unknown")
    await story(world, a_request("550+GONE@world.test"), "suppressed")


@pytest.mark.parametrize("word", ["552", "554", "450", "552full", "554spam"])
async def test_no_other_refusal_suppresses_anybody(world: World, word: str) -> None:
    item = a_request(f"{word}+x@world.test")
    await world.publisher.append(item, guard=0)

    async def concluded() -> bool:
        return len(await names(world.log, item)) == 3

    await eventually(concluded)
    assert await world.lists.find("default", [f"{word}+x@world.test"]) == {}


async def test_nothing_is_sent_while_the_lists_cannot_be_asked(world: World) -> None:
    stream = world.log.client.jetstream()
    config = (await stream.stream_info(STREAM)).config
    await stream.delete_stream(STREAM)
    item = a_request("ann@world.test")
    await world.publisher.append(item, guard=0)

    async def was_tried() -> bool:
        return "will_come_again" in world.dispatcher.log.read_text()

    await eventually(was_tried)
    assert await names(world.log, item) == ["requested"]
    assert messages(world.mailbox.url) == []
    await stream.add_stream(config)
