"""A request's batch on a real broker: all of it or nothing, whatever happens in between."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from shared.events import record
from shared.runtime import appending, batching, topology
from shared.runtime.log import Log, PubAck
from shared.runtime.publisher import Conflict, LogFull, Publisher, TooLarge, Unconfirmed
from tests.controls import runtime, servers
from tests.controls.emails import a_request
from tests.controls.eventually import eventually


@pytest.fixture
async def log_and_publisher(clean_nats: str) -> AsyncIterator[tuple[Log, Publisher]]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as both:
        yield both


async def stored(log: Log) -> int:
    info = await log.client.jetstream().stream_info(topology.LOG)
    return info.state.messages


async def has(log: Log, items: list[record.Record]) -> list[bool]:
    return [bool(await log.history(item.workspace, item.email_id)) for item in items]


async def open_one(log: Log, name: str) -> None:
    """Open a batch on the server and leave it so."""
    opened, reply = appending._expect(log)
    extra = f"Nats-Batch-Id: {name}\r\nNats-Batch-Sequence: 1\r\n"
    await log.write(appending.Entry(a_request(), 0, 60).command(reply, extra))
    assert await opened == b""


async def close_one(log: Log, name: str) -> None:
    committed, reply = appending._expect(log)
    extra = f"Nats-Batch-Id: {name}\r\nNats-Batch-Sequence: 2\r\nNats-Batch-Commit: 1\r\n"
    await log.write(appending.Entry(a_request(), 0, 60).command(reply, extra))
    await committed


async def test_a_batch_is_stored_in_its_order_without_a_gap(log_and_publisher: tuple[Log, Publisher]) -> None:
    log, publisher = log_and_publisher
    items = [a_request() for _ in range(1000)]
    first = await publisher.append_all(items)
    assert await stored(log) == 1000
    for number in (0, 1, 500, 999):
        history = await log.history(items[number].workspace, items[number].email_id)
        assert [(item.sequence, item.event_id) for item in history] == [
            (first + number, items[number].event_id)
        ]


async def test_a_batch_of_one_is_stored_too(log_and_publisher: tuple[Log, Publisher]) -> None:
    log, publisher = log_and_publisher
    item = a_request()
    sequence = await publisher.append_all([item])
    assert [found.sequence for found in await log.history(item.workspace, item.email_id)] == [sequence]
    with pytest.raises(Conflict):
        await publisher.append_all([item._replace(event_id=a_request().event_id)])


async def test_one_taken_email_refuses_the_whole_batch(log_and_publisher: tuple[Log, Publisher]) -> None:
    log, publisher = log_and_publisher
    items = [a_request() for _ in range(100)]
    await publisher.append(items[63]._replace(event_id=a_request().event_id), guard=0)
    with pytest.raises(Conflict):
        await publisher.append_all(items)
    assert await stored(log) == 1


async def test_of_rival_batches_with_one_common_email_exactly_one_wins_and_whole(
    log_and_publisher: tuple[Log, Publisher],
) -> None:
    log, publisher = log_and_publisher
    for _ in range(10):
        common = a_request()
        rivals = [
            [a_request(), *(a_request() for _ in range(50)), common._replace(event_id=a_request().event_id)]
            for _ in range(3)
        ]
        before = await stored(log)
        answers = await asyncio.gather(
            *(publisher.append_all(items) for items in rivals), return_exceptions=True
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "Conflict", "int"]
        assert await stored(log) == before + 52
        for items, answer in zip(rivals, answers, strict=True):
            assert await has(log, items[:-1]) == [isinstance(answer, int)] * 51


async def test_a_process_killed_before_its_commit_has_stored_nothing(
    log_and_publisher: tuple[Log, Publisher], clean_nats: str
) -> None:
    log, publisher = log_and_publisher
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.controls.half_a_batch", clean_nats, "999"],
        cwd=servers.ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"written\n"
    finally:
        process.kill()
        process.communicate()
    await publisher.append_all([a_request() for _ in range(1000)])
    assert await stored(log) == 1000


async def test_a_batch_waits_while_the_broker_has_too_many_open(
    log_and_publisher: tuple[Log, Publisher],
) -> None:
    log, publisher = log_and_publisher
    for number in range(50):
        await open_one(log, f"open-{number}")
    with pytest.raises(Unconfirmed, match="took no batch"):
        await publisher.append_all([a_request() for _ in range(20)], within=0.3)

    async def close_later() -> None:
        await eventually(lambda: batching.OPEN_AT_ONCE - publisher._batches._open._value == 1)
        await close_one(log, "open-7")

    await asyncio.gather(publisher.append_all([a_request() for _ in range(20)], within=8), close_later())
    assert await stored(log) == 22


async def test_a_lost_answer_is_repeated_and_the_batch_recognises_itself(
    own_nats: servers.NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "ANSWER_WITHIN", 0.4)
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (log, publisher):
        items = [a_request() for _ in range(200)]
        own_nats.pause()  # the kernel takes what we write, and nobody answers
        appending_all = asyncio.create_task(publisher.append_all(items, within=15))
        await asyncio.wait([appending_all], timeout=0.9)
        own_nats.resume()
        first = await appending_all
        assert await stored(log) == 200
        assert (await log.history(items[0].workspace, items[0].email_id))[0].sequence == first


async def test_a_batch_of_which_a_part_got_lost_is_sent_again(
    log_and_publisher: tuple[Log, Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, publisher = log_and_publisher
    monkeypatch.setattr(appending, "SLICE", 10)
    write = log.write
    writes = 0

    async def losing(commands: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes != 3:
            await write(commands)

    monkeypatch.setattr(log, "write", losing)
    await publisher.append_all([a_request() for _ in range(100)])
    assert writes == 20
    assert await stored(log) == 100


async def test_another_writers_email_is_no_lost_answer_of_ours(
    own_nats: servers.NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "ANSWER_WITHIN", 0.4)
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (log, publisher):
        items = [a_request() for _ in range(20)]
        await publisher.append(items[3]._replace(event_id=a_request().event_id), guard=0)
        own_nats.pause()
        appending_all = asyncio.create_task(publisher.append_all(items, within=15))
        await asyncio.wait([appending_all], timeout=0.9)
        own_nats.resume()
        with pytest.raises(Conflict):
            await appending_all
        assert await stored(log) == 1


async def test_a_silent_broker_is_waited_for_no_longer_than_asked(own_nats: servers.NatsServer) -> None:
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (_, publisher):
        own_nats.pause()
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            *(publisher.append_all([a_request() for _ in range(50)], within=1.0) for _ in range(8)),
            return_exceptions=True,
        )
        took = asyncio.get_running_loop().time() - started
        own_nats.resume()
        assert all(isinstance(answer, Unconfirmed) for answer in answers)
        assert took < 2
        assert publisher._bytes == 0


async def test_batches_under_a_killed_broker_are_there_once_and_whole(own_nats: servers.NatsServer) -> None:
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (log, publisher):
        batches = [[a_request() for _ in range(100)] for _ in range(40)]
        room = asyncio.Semaphore(8)
        answered = 0

        async def one(items: list[record.Record]) -> int:
            nonlocal answered
            async with room:
                first = await publisher.append_all(items, within=30)
            answered += 1
            return first

        appended = asyncio.gather(*(one(items) for items in batches))
        await eventually(lambda: answered >= 12)
        own_nats.kill()
        await asyncio.to_thread(own_nats.start)
        firsts = await appended
        assert await stored(log) == 4000
        for items, first in zip(batches, firsts, strict=True):
            last = (await log.history(items[-1].workspace, items[-1].email_id))[0]
            assert last.sequence == first + 99


async def test_no_more_than_a_few_batches_are_open_at_once(
    log_and_publisher: tuple[Log, Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, publisher = log_and_publisher
    real = appending.commit
    under_way, most = 0, 0

    async def counted(log: Log, entries: list[appending.Entry]) -> PubAck:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await real(log, entries)
        finally:
            under_way -= 1

    monkeypatch.setattr(appending, "commit", counted)
    await asyncio.gather(*(publisher.append_all([a_request() for _ in range(30)]) for _ in range(12)))
    assert most == batching.OPEN_AT_ONCE


async def test_what_would_be_too_large_or_twice_the_same_email_is_not_sent(
    log_and_publisher: tuple[Log, Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, publisher = log_and_publisher
    monkeypatch.setattr(batching, "MOST_BYTES", 20_000)
    with pytest.raises(TooLarge):
        await publisher.append_all([a_request(text="x" * 3000) for _ in range(10)])
    twice = a_request()
    for wrong in ([], [twice, twice], [a_request() for _ in range(1001)]):
        with pytest.raises(ValueError, match="a batch has"):
            await publisher.append_all(wrong)
    assert await stored(log) == 0


async def test_a_full_log_takes_none_of_a_batch_and_says_so(log_and_publisher: tuple[Log, Publisher]) -> None:
    log, publisher = log_and_publisher
    stream = log.client.jetstream()
    config = (await stream.stream_info(topology.LOG)).config
    config.max_bytes = 100_000
    await stream.update_stream(config)
    items = [a_request(text="y" * 2000) for _ in range(200)]
    with pytest.raises(LogFull):
        await publisher.append_all(items, within=1)
    assert publisher.full
    assert await stored(log) == 0
    config.max_bytes = 10 * 1024**2
    await stream.update_stream(config)
    await publisher.append_all(items, within=5)
    assert await stored(log) == 200
