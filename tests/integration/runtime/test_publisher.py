"""The publisher on a real broker: every record its own verdict, whatever else is in the flush."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from shared.events import record, submission
from shared.events.base import EventId
from shared.runtime import appending, publisher
from shared.runtime.log import Log
from shared.runtime.publisher import Conflict, Publisher, Unconfirmed
from tests.controls import runtime, servers
from tests.controls.emails import a_record, a_request
from tests.controls.eventually import eventually


@pytest.fixture
async def log_and_publisher(clean_nats: str) -> AsyncIterator[tuple[Log, Publisher]]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as both:
        yield both


def cancelled(of: record.Record) -> record.Record:
    event = submission.Cancelled(occurred_at=datetime.now(UTC))
    return a_record(event, email_id=of.email_id)


async def test_the_server_lets_two_guarded_records_of_one_email_pass_in_one_atomic_batch(
    log_and_publisher: tuple[Log, Publisher],
) -> None:
    """Why the publisher keeps them apart: the guards see the log as it was before the batch."""
    log, _ = log_and_publisher
    first = a_request()
    entries = [appending.Entry(first, 0, 5), appending.Entry(cancelled(first), 0, 5)]
    assert await appending.as_batch(log, entries)
    assert len(await log.history(first.workspace, first.email_id)) == 2


async def test_of_two_guarded_records_of_one_email_at_once_one_is_told_of_the_conflict(
    log_and_publisher: tuple[Log, Publisher],
) -> None:
    log, publisher = log_and_publisher
    firsts = [a_request() for _ in range(40)]
    answers = await asyncio.gather(
        *(publisher.append(first, guard=0) for first in firsts),
        *(publisher.append(cancelled(first), guard=0) for first in firsts),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [int] * 40 + [Conflict] * 40
    for first, sequence in zip(firsts, answers[:40], strict=True):
        history = await log.history(first.workspace, first.email_id)
        assert [item.sequence for item in history] == [sequence]
        assert history[0].event == first.event


async def test_a_refused_batch_is_told_apart_record_by_record(
    log_and_publisher: tuple[Log, Publisher],
) -> None:
    _, publisher = log_and_publisher
    taken = a_request()
    await publisher.append(taken, guard=0)
    fresh = [a_request() for _ in range(30)]
    answers = await asyncio.gather(
        *(
            publisher.append(item, guard=0)
            for item in [*fresh[:15], taken._replace(event_id=EventId("x")), *fresh[15:]]
        ),
        return_exceptions=True,
    )
    assert [number for number, answer in enumerate(answers) if isinstance(answer, Conflict)] == [15]
    assert sum(isinstance(answer, int) for answer in answers) == 30


async def test_records_of_one_email_keep_their_order(log_and_publisher: tuple[Log, Publisher]) -> None:
    log, publisher = log_and_publisher
    first = a_request()
    later = [cancelled(first) for _ in range(5)]
    await asyncio.gather(publisher.append(first), *(publisher.append(item) for item in later))
    history = await log.history(first.workspace, first.email_id)
    assert [item.event_id for item in history] == [first.event_id, *(item.event_id for item in later)]


async def test_more_records_than_a_page_are_read_in_full(log_and_publisher: tuple[Log, Publisher]) -> None:
    log, publisher = log_and_publisher
    first = a_request()
    await asyncio.gather(*(publisher.append(cancelled(first)) for _ in range(600)))
    assert len(await log.history(first.workspace, first.email_id)) == 600


async def test_a_silent_broker_ends_every_future_in_time_and_loses_nothing_afterwards(
    own_nats: servers.NatsServer,
) -> None:
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (log, publisher):
        items = [a_request() for _ in range(50)]
        own_nats.pause()
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            *(publisher.append(item, guard=0, within=1.5) for item in items), return_exceptions=True
        )
        took = asyncio.get_running_loop().time() - started
        own_nats.resume()
        assert all(isinstance(answer, Unconfirmed) for answer in answers)
        assert took < 4
        for item in items[:10]:  # the answer was lost: the repeat meets itself or is first; once either way
            with contextlib.suppress(Conflict):
                await publisher.append(item, guard=0, within=20)
            history = await log.history(item.workspace, item.email_id)
            assert [found.event_id for found in history] == [item.event_id]


async def test_a_broker_that_falls_silent_after_a_rest_is_noticed_in_time_as_well(
    own_nats: servers.NatsServer,
) -> None:
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (_, publisher):
        await publisher.append(a_request())
        await eventually(lambda: publisher._sweep is None)  # nothing waits: nobody looks at the clock
        own_nats.pause()
        with pytest.raises(Unconfirmed):
            await publisher.append(a_request(), within=0.5)
        own_nats.resume()


async def test_what_was_confirmed_survives_kill_9_of_the_broker_and_the_rest_is_repeated(
    own_nats: servers.NatsServer,
) -> None:
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (log, publisher):
        items = [a_request() for _ in range(3000)]
        room = asyncio.Semaphore(200)
        killed = asyncio.Event()

        async def one(number: int, item: record.Record) -> int:
            async with room:
                if number == 1500:
                    own_nats.kill()
                    await asyncio.to_thread(own_nats.start)
                    killed.set()
                return await publisher.append(item, guard=0, within=30)

        answers = await asyncio.gather(*(one(number, item) for number, item in enumerate(items)))
        assert killed.is_set()
        assert len(set(answers)) == 3000
        for item, sequence in list(zip(items, answers, strict=True))[::97]:
            history = await log.history(item.workspace, item.email_id)
            assert [found.sequence for found in history] == [sequence]


async def test_a_full_buffer_slows_writers_down_and_gives_up_in_time(
    own_nats: servers.NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "BUFFER_BYTES", 20_000)
    await runtime.bootstrap(own_nats.url)
    async with runtime.open_log(own_nats.url) as (_, writer):
        own_nats.pause()
        answers = await asyncio.gather(
            *(writer.append(a_request(text="x" * 3000), within=1.0) for _ in range(50)),
            return_exceptions=True,
        )
        own_nats.resume()
        assert all(isinstance(answer, Unconfirmed) for answer in answers)
        assert sum("buffer" in str(answer) for answer in answers) > 30


async def test_a_full_log_is_unconfirmed_and_goes_on_when_there_is_room(
    log_and_publisher: tuple[Log, Publisher],
) -> None:
    log, publisher = log_and_publisher
    stream = log.client.jetstream()
    config = (await stream.stream_info("EMAILS")).config
    config.max_bytes = 50_000
    await stream.update_stream(config)
    with pytest.raises(Unconfirmed):
        await asyncio.gather(*(publisher.append(a_request(text="y" * 2000), within=2) for _ in range(60)))
    assert publisher.problem
    config.max_bytes = 1024**2
    await stream.update_stream(config)
    await publisher.append(a_request(), guard=0, within=5)
    await eventually(lambda: publisher.problem is None)
