"""Trimming a real log: nothing goes that a consumer has not seen, that is not archived, or that is hot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import nats
import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from services.projector import reach, store, trimming
from shared.events import delivery, record
from shared.runtime import consumer, postgres, topology
from shared.runtime.consumer import Consumer, Handle
from shared.runtime.delivery import Delivery
from shared.runtime.topology import Durable
from tests.controls import runtime
from tests.controls.emails import ACCOUNT, a_record, a_request
from tests.controls.eventually import eventually
from tests.integration.projector.histories import reason

COLD = timedelta(0)
EVERYBODY = {durable.name: durable for durable in topology.CONSUMERS}


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    yield client
    await client.close()


@pytest.fixture(autouse=True)
def _fine_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest stretch is always kept: as it is 4096 records long, nothing would ever go here."""
    monkeypatch.setattr(store, "STRETCH", 1)


@pytest.fixture
def trimmer(pool: asyncpg.Pool, client: Client) -> trimming.Trimmer:
    """Return a trimmer that keeps nothing for being hot, but the newest email."""
    return trimming.Trimmer(pool, client, hot=COLD, most=0)


@asynccontextmanager
async def _running(url: str, durable: Durable, pool: asyncpg.Pool) -> AsyncIterator[list[int]]:
    """Stand in for a service: what it has seen is in the list; the projector's stand-in archives it too."""
    seen: list[int] = []

    async def handle(batch: list[Delivery]) -> None:
        if durable is topology.PROJECTOR:
            await store.project(pool, [delivery_.record for delivery_ in batch])
        for delivery_ in batch:
            seen.append(delivery_.record.sequence)
            await delivery_.ack()

    async with _consuming(url, durable, handle):
        yield seen


@asynccontextmanager
async def _consuming(url: str, durable: Durable, handle: Handle) -> AsyncIterator[None]:
    async with runtime.open_log(url) as (log, _):
        broker = consumer.make_broker(url, "stand-in")
        service = Consumer(log, broker, durable, handle)
        service.start()
        await consumer.start_broker(broker)
        try:
            yield
        finally:
            await service.stop()
            await broker.stop()


def _traffic(count: int) -> list[record.Record]:
    """Return records of which every consumer gets some."""
    out: list[record.Record] = []
    now = datetime.now(UTC)
    for _ in range(count):
        request, turn = a_request(release="now"), a_request(release="turn")
        claim = delivery.Sending(occurred_at=now, round=1, attempt=1, claim_id="c", account_id=ACCOUNT)
        failed = delivery.Failed(occurred_at=now, round=1, attempt=1, claim_id="c", reason=reason("550"))
        out += [request, turn, a_record(claim, email_id=request.email_id)]
        out.append(a_record(failed, email_id=request.email_id))
    return out


async def _append(url: str, records: list[record.Record]) -> list[int]:
    async with runtime.open_log(url) as (_, publisher):
        return [await publisher.append(item) for item in records]


async def _trim(trimmer: trimming.Trimmer, times: int = 3) -> None:
    for _ in range(times):  # what the end of the log was is known from the time before
        await trimmer.trim()


async def _caught_up(client: Client, *names: str) -> bool:
    return all([(await reach.reader(client, name)).is_caught_up for name in names])


@pytest.mark.parametrize("stopped", sorted(EVERYBODY))
async def test_what_a_stopped_service_has_not_seen_is_not_trimmed(
    nats_url: str, client: Client, pool: asyncpg.Pool, trimmer: trimming.Trimmer, stopped: str
) -> None:
    others = [durable for name, durable in EVERYBODY.items() if name != stopped]
    async with AsyncExitStack() as stack:
        for durable in others:
            await stack.enter_async_context(_running(nats_url, durable, pool))
        async with _running(nats_url, EVERYBODY[stopped], pool) as seen_before:
            await _append(nats_url, _traffic(20))
            await eventually(lambda: _caught_up(client, *EVERYBODY), within=20)
        missed = await _append(nats_url, _traffic(20))
        await eventually(lambda: _caught_up(client, *(durable.name for durable in others)), within=20)
        await _trim(trimmer)
        size = await reach.log_size(client)
        unseen = _meant_for(stopped, missed)
        assert 1 < size.first <= min(unseen)  # what everybody had seen went; what one had not is there
        await _fill(client, 0.99)
        await _trim(trimmer)
        assert (await reach.log_size(client)).first <= min(unseen)
        await _fill(client, 0.01)
        async with _running(nats_url, EVERYBODY[stopped], pool) as seen_after:
            await eventually(lambda: _caught_up(client, stopped), within=20)
        assert unseen <= {*seen_before, *seen_after}
        await _trim(trimmer)
        assert (await reach.log_size(client)).first == missed[-3]  # the newest email


def _meant_for(name: str, sequences: list[int]) -> set[int]:
    """Return which of some traffic a consumer has to see: of each four records, those it asks for."""
    places = {"dispatcher": (0,), "scheduler": (1, 3), "projector": (0, 1, 2, 3)}[name]
    return {sequence for place, sequence in enumerate(sequences) if place % 4 in places}


async def _fill(client: Client, full: float) -> None:
    """Give the log so much room that it is that full."""
    size = await reach.log_size(client)
    config = (await client.jetstream().stream_info(topology.LOG)).config
    config.max_bytes = int(size.bytes / full)
    await client.jetstream().update_stream(config)


async def test_what_waits_for_its_ack_is_not_trimmed(
    nats_url: str, client: Client, pool: asyncpg.Pool, trimmer: trimming.Trimmer
) -> None:
    held: list[Delivery] = []

    async def hold(batch: list[Delivery]) -> None:
        held.extend(batch)

    async with (
        _running(nats_url, topology.PROJECTOR, pool),
        _running(nats_url, topology.SCHEDULER, pool),
        _consuming(nats_url, topology.DISPATCHER, hold),
    ):
        sequences = await _append(nats_url, [a_request() for _ in range(10)])
        await eventually(lambda: len(held) == 10)
        await eventually(lambda: _caught_up(client, "projector"))
        for delivery_ in held[:4] + held[5:]:
            await delivery_.ack()
        await eventually(lambda: _acked(client, sequences[3]))
        await _trim(trimmer)
        assert (await reach.log_size(client)).first == sequences[4]
        await held[4].ack()
        await eventually(lambda: _caught_up(client, "dispatcher"))
        await _trim(trimmer)
        assert (await reach.log_size(client)).first == sequences[-1]


async def _acked(client: Client, sequence: int) -> bool:
    return (await reach.reader(client, "dispatcher")).acked >= sequence


async def _archive_everything(nats_url: str, pool: asyncpg.Pool, client: Client, emails: int) -> list[int]:
    async with AsyncExitStack() as stack:
        for durable in topology.CONSUMERS:
            await stack.enter_async_context(_running(nats_url, durable, pool))
        sequences = await _append(nats_url, [a_request() for _ in range(emails)])
        await eventually(lambda: _caught_up(client, *EVERYBODY), within=20)
    return sequences


async def test_the_hot_window_is_kept_by_number_and_by_age(
    nats_url: str, client: Client, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "STRETCH", 10)
    await _archive_everything(nats_url, pool, client, 100)
    await _trim(trimming.Trimmer(pool, client, hot=timedelta(hours=1), most=1000))
    assert (await reach.log_size(client)).records == 100
    await _trim(trimming.Trimmer(pool, client, hot=timedelta(hours=1), most=30))
    assert 30 <= (await reach.log_size(client)).records < 41
    await pool.execute("UPDATE projector.stretches SET seen_at = now() - interval '3 h' WHERE stretch < 9")
    by_age = trimming.Trimmer(pool, client, hot=timedelta(hours=1), most=1000)
    await _trim(by_age)
    assert (await reach.log_size(client)).first == 90
    await by_age.forget()
    assert await pool.fetchval("SELECT min(stretch) FROM projector.stretches") == 9


async def test_the_hot_window_yields_to_a_log_that_fills_up(
    nats_url: str, client: Client, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "SLICE", 5)
    await _archive_everything(nats_url, pool, client, 100)
    hot = trimming.Trimmer(pool, client, hot=timedelta(hours=1), most=1000)
    await _trim(hot)
    assert (await reach.log_size(client)).records == 100
    await _fill(client, 0.8)
    await _trim(hot)
    size = await reach.log_size(client)
    assert 0.5 < size.full < 0.7
    assert size.records > 50


async def test_without_the_database_nothing_is_trimmed_but_from_a_log_that_fills_up(
    nats_url: str, client: Client, pool: asyncpg.Pool
) -> None:
    await _archive_everything(nats_url, pool, client, 50)
    away = await postgres.connect("postgresql://nobody@127.0.0.1:1/none", size=1, lazy=True)
    await _trim(trimming.Trimmer(away, client, hot=COLD, most=0))
    assert (await reach.log_size(client)).records == 50
    away.terminate()


async def test_a_missing_consumer_stops_the_trimming(
    nats_url: str, client: Client, pool: asyncpg.Pool, trimmer: trimming.Trimmer
) -> None:
    await _archive_everything(nats_url, pool, client, 20)
    await client.jetstream().delete_consumer(topology.LOG, "scheduler")
    with pytest.raises(NotFoundError):
        await _trim(trimmer)
    assert (await reach.log_size(client)).records == 20


async def test_two_trimmers_do_no_harm(nats_url: str, client: Client, pool: asyncpg.Pool) -> None:
    await _archive_everything(nats_url, pool, client, 100)
    two = [trimming.Trimmer(pool, client, hot=COLD, most=0) for _ in range(2)]
    for _ in range(3):
        await asyncio.gather(*(trimmer.trim() for trimmer in two))
    assert (await reach.log_size(client)).records == 1
