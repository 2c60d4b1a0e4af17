"""`sendlog dead-letters`: what was set aside is listed, shown and put back, whole and once."""

import json
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from shared.events import record
from shared.runtime import topology
from shared.runtime.log import Log
from tests.controls.emails import a_request
from tests.controls.runtime import bootstrap, open_log
from tests.integration.cli.stub_api import CommandLine


class Broker(NamedTuple):
    """A broker with the log in it, and how to set something aside."""

    log: Log

    async def set_aside(self, consumer: str = "projector", why: str = "unknown\x1b[31m") -> record.Record:
        item = a_request("ann@world.test", text="the secret of it")
        head = record.headers(item) | {"sendlog-consumer": consumer, "sendlog-reason": why}
        subject = f"dead.{consumer}.{record.nats_subject(item)}"
        await self.log.client.jetstream().publish(subject, record.payload(item.event), headers=head)
        return item

    async def left(self) -> int:
        return (await self.log.client.jetstream().stream_info(topology.DEAD_LETTERS)).state.messages


@pytest.fixture
async def broker(clean_nats: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Broker]:
    await bootstrap(clean_nats)
    monkeypatch.setenv("SENDLOG_HOME", "/nowhere")
    monkeypatch.setenv("SENDLOG_NATS_URL", clean_nats)
    async with open_log(clean_nats) as (log, _):
        yield Broker(log)


async def test_what_was_set_aside_is_listed_with_whose_it_is_and_why(
    broker: Broker, cli: CommandLine
) -> None:
    item = await broker.set_aside()
    said = await cli("dead-letters", "list")
    assert said.code == 0
    for part in (str(item.email_id), "projector", "requested", "unknown"):
        assert part in said.out
    assert "\x1b" not in said.out
    assert "secret" not in said.out
    (row,) = json.loads((await cli("dead-letters", "list", "--json")).out)
    assert (row["sequence"], row["workspace"], row["event_id"]) == (1, item.workspace, item.event_id)


async def test_a_consumer_and_a_limit_narrow_the_list(broker: Broker, cli: CommandLine) -> None:
    for consumer in ("projector", "scheduler", "projector"):
        await broker.set_aside(consumer)
    rows = json.loads((await cli("dead-letters", "list", "--json", "--consumer", "projector")).out)
    assert [row["sequence"] for row in rows] == [1, 3]
    said = await cli("dead-letters", "list", "--json", "--limit", "2")
    assert [row["sequence"] for row in json.loads(said.out)] == [1, 2]
    assert "more" in said.err


async def test_one_is_told_with_all_it_says(broker: Broker, cli: CommandLine) -> None:
    await broker.set_aside()
    told = json.loads((await cli("dead-letters", "show", "1", "--json")).out)
    assert told["payload"]["email"]["subject"]
    assert told["headers"]["ce-id"] == told["event_id"]
    said = await cli("dead-letters", "show", "1")
    assert "the secret of it" in said.out
    assert "\x1b" not in said.out


async def test_a_record_goes_back_as_it_was(broker: Broker, cli: CommandLine) -> None:
    item = await broker.set_aside()
    other = await broker.set_aside()
    assert await cli("dead-letters", "retry", "1") == (0, "1 put back\n", "")
    (back,) = await broker.log.history(item.workspace, item.email_id)
    assert (back.event_id, back.event) == (item.event_id, item.event)
    assert await broker.log.history(other.workspace, other.email_id) == []
    assert await broker.left() == 1


async def test_everything_of_a_consumer_goes_back_at_once(broker: Broker, cli: CommandLine) -> None:
    for consumer in ("projector", "scheduler", "projector"):
        await broker.set_aside(consumer)
    assert (await cli("dead-letters", "retry", "--all", "--consumer", "projector")).out == "2 put back\n"
    assert await broker.left() == 1
    assert (await cli("dead-letters", "retry", "--all")).out == "1 put back\n"
    assert (await cli("dead-letters", "retry", "--all")).out == "0 put back\n"


@pytest.mark.parametrize("words", [("retry",), ("retry", "1", "--all"), ("retry", "0"), ("show", "x")])
async def test_what_cannot_be_meant_is_a_mistake_of_the_command_line(
    broker: Broker, cli: CommandLine, words: tuple[str, ...]
) -> None:
    assert (await cli("dead-letters", *words)).code == 2


async def test_what_is_not_there_is_said_so(broker: Broker, cli: CommandLine) -> None:
    for words in (("show", "7"), ("retry", "7")):
        said = await cli("dead-letters", *words)
        assert (said.code, said.err) == (1, "sendlog: there is no dead letter 7\n")
