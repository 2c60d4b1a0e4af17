"""Reading the log on a real broker: all of it, from the leader too, and never nothing in place of no answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.projector import reading
from shared.events import submission
from shared.runtime import appending, topology
from shared.runtime.log import BrokerUnavailable, Log
from shared.runtime.publisher import BATCH_FROM, Conflict, Publisher
from tests.controls import runtime
from tests.controls.emails import a_record, a_request


@pytest.fixture
async def log_and_publisher(clean_nats: str) -> AsyncIterator[tuple[Log, Publisher]]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as both:
        yield both


async def test_a_log_that_nobody_serves_is_not_taken_for_an_empty_one(
    log_and_publisher: tuple[Log, Publisher],
) -> None:
    log, publisher = log_and_publisher
    first = a_request()
    await publisher.append(first)
    await log.client.jetstream().delete_stream(topology.LOG)
    with pytest.raises(BrokerUnavailable, match="503"):
        await log.history(first.workspace, first.email_id)
    with pytest.raises(BrokerUnavailable, match="503"):
        [page async for page in reading.pages(log, "emails.>", 1)]


async def test_the_leader_tells_the_same_history(log_and_publisher: tuple[Log, Publisher]) -> None:
    log, publisher = log_and_publisher
    first, other, unknown = a_request(), a_request(), a_request()
    await publisher.append(first)
    await publisher.append(other)
    cancelled = submission.Cancelled(occurred_at=datetime.now(UTC))
    await publisher.append(a_record(cancelled, email_id=first.email_id))
    directly = await log.history(first.workspace, first.email_id)
    log.replicas = 3
    assert await log.history(first.workspace, first.email_id) == directly
    assert [item.sequence for item in directly] == [1, 3]
    assert await log.history(unknown.workspace, unknown.email_id) == []


async def test_a_replicated_log_is_written_record_by_record_each_with_its_verdict(
    log_and_publisher: tuple[Log, Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, publisher = log_and_publisher
    log.replicas = 3

    async def forbidden(*_: object) -> bool:
        raise AssertionError("an atomic batch on a replicated log")

    monkeypatch.setattr(appending, "as_batch", forbidden)
    taken = [a_request() for _ in range(BATCH_FROM)]
    await asyncio.gather(*(publisher.append(one, guard=0) for one in taken))
    fresh = [a_request() for _ in range(3 * BATCH_FROM)]
    answers = await asyncio.gather(
        *(publisher.append(one, guard=7_000) for one in taken),
        *(publisher.append(one, guard=0) for one in fresh),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers[: len(taken)]] == [Conflict] * len(taken)
    for one, sequence in zip(fresh, answers[len(taken) :], strict=True):
        assert [item.sequence for item in await log.history(one.workspace, one.email_id)] == [sequence]
