"""Consuming on a real broker: nothing late, nothing lost, poison set aside, a stalled holder knows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from shared.events import record
from shared.runtime import consumer, heartbeats, topology
from shared.runtime.consumer import Consumer
from shared.runtime.delivery import Delivery
from tests.controls import runtime, servers
from tests.controls.emails import a_request
from tests.controls.eventually import eventually


@asynccontextmanager
async def consuming(url: str, handle: Callable[[list[Delivery]], Awaitable[None]]) -> AsyncIterator[Consumer]:
    async with runtime.open_log(url) as (log, _):
        broker = consumer.make_broker(url, "test")
        subject = Consumer(log, broker, topology.DISPATCHER, handle)
        subject.start()
        await consumer.start_broker(broker)
        try:
            yield subject
        finally:
            await subject.stop()
            await broker.stop()


@pytest.fixture
async def url(clean_nats: str) -> str:
    await runtime.bootstrap(clean_nats)
    return clean_nats


async def test_every_record_comes_at_once_and_only_once(url: str) -> None:
    """A batch pull would return some only after ack_wait: push must not."""
    seen: dict[str, float] = {}
    twice: list[str] = []

    async def handle(batch: list[Delivery]) -> None:
        for delivery in batch:
            if delivery.record.event_id in seen:
                twice.append(delivery.record.event_id)
            seen[delivery.record.event_id] = asyncio.get_running_loop().time()
            await delivery.ack()

    async with consuming(url, handle), runtime.open_log(url) as (_, publisher):
        appended: dict[str, float] = {}

        async def one(item: record.Record) -> None:
            await publisher.append(item, guard=0)
            appended[item.event_id] = asyncio.get_running_loop().time()

        for _ in range(20):
            await asyncio.gather(*(one(a_request()) for _ in range(150)))
        await eventually(lambda: len(seen) == 3000, within=10)
        late = [key for key, at in seen.items() if at - appended[key] > 5]
        assert (late, twice) == ([], [])


async def test_what_is_in_hand_stays_there_longer_than_ack_wait(url: str) -> None:
    held: list[Delivery] = []

    async def handle(batch: list[Delivery]) -> None:
        held.extend(batch)

    async with consuming(url, handle) as first, runtime.open_log(url) as (_, publisher):
        await publisher.append(a_request(), guard=0)
        await eventually(lambda: len(held) == 1)
        await asyncio.sleep(topology.ACK_WAIT + 3)
        assert len(held) == 1
        assert held[0].is_held_safely(asyncio.get_running_loop().time())
        await held[0].ack()
        assert first.held == 0


async def test_a_handler_that_raises_gets_its_records_again(url: str) -> None:
    tries: list[int] = []

    async def handle(batch: list[Delivery]) -> None:
        tries.append(batch[0].delivered)
        if len(tries) < 3:
            raise RuntimeError("our fault")
        await batch[0].ack()

    async with consuming(url, handle) as subject, runtime.open_log(url) as (_, publisher):
        await publisher.append(a_request(), guard=0)
        await eventually(lambda: tries == [1, 2, 3], within=15)
        assert subject.problem is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("sendlog.email.requested.v1", b'{"occurred_at": 5'),
        ("sendlog.email.requested.v9", b"{}"),
        ("sendlog.email.teleported.v1", b"{}"),
        ("", b"\xff\x00"),
    ],
)
async def test_poison_goes_to_the_dead_letters_and_its_neighbours_on(
    url: str, kind: str, data: bytes
) -> None:
    seen: list[str] = []

    async def handle(batch: list[Delivery]) -> None:
        for delivery in batch:
            seen.append(delivery.record.event_id)
            await delivery.ack()

    async with consuming(url, handle) as subject, runtime.open_log(url) as (log, publisher):
        stream = log.client.jetstream()
        before, after = a_request(), a_request()
        await publisher.append(before, guard=0)
        head = {"ce-type": kind, "ce-id": "poison"} if kind else {}
        await stream.publish("emails.default.poison.requested.now", data, headers=head)
        await publisher.append(after, guard=0)
        await eventually(lambda: seen == [before.event_id, after.event_id])
        dead = await eventually(lambda: _dead_letter(stream), within=5)
        assert dead is not None
        assert dead.data == data
        assert (dead.headers or {})["sendlog-consumer"] == "dispatcher"
        await eventually(lambda: subject.held == 0)
        await eventually(lambda: _is_settled(stream))


async def _is_settled(stream: JetStreamContext) -> bool:
    info = await stream.consumer_info(topology.LOG, "dispatcher")
    return bool(info.num_ack_pending == 0)


async def _dead_letter(stream: JetStreamContext) -> RawStreamMsg | None:
    try:
        return await stream.get_last_msg(
            topology.DEAD_LETTERS, "dead.dispatcher.emails.default.poison.requested.now"
        )
    except NotFoundError:
        return None


async def test_a_gap_in_the_heartbeats_is_not_forgotten_until_a_new_claim(url: str) -> None:
    held: list[Delivery] = []

    async def handle(batch: list[Delivery]) -> None:
        held.extend(batch)

    async with consuming(url, handle), runtime.open_log(url) as (_, publisher):
        await publisher.append(a_request(), guard=0)
        await eventually(lambda: len(held) == 1)
        delivery, now = held[0], asyncio.get_running_loop().time()
        delivery.alive_at = now - 40  # as after SIGSTOP for 40 s
        delivery.answered(now)
        assert not delivery.is_held_safely(now)
        delivery.claimed(now)
        assert delivery.is_held_safely(now)
        await delivery.ack()
        assert not delivery.is_held_safely(now)


async def test_however_many_are_in_hand_each_is_kept_alive_and_none_else(url: str) -> None:
    held: list[Delivery] = []

    async def handle(batch: list[Delivery]) -> None:
        held.extend(batch)

    async with consuming(url, handle), runtime.open_log(url) as (_, publisher):
        await asyncio.gather(*(publisher.append(a_request(), guard=0) for _ in range(200)))
        await eventually(lambda: len(held) == 200)
        now = asyncio.get_running_loop().time()
        held[0].reply = held[0].reply.replace("dispatcher", "nobody")  # which no broker answers for
        for delivery in held:
            delivery.alive_at = now - topology.HEARTBEAT + 0.5
        await eventually(lambda: all(delivery.alive_at >= now for delivery in held[1:]), within=10)
        assert held[0].alive_at < now


async def test_without_a_broker_no_heartbeat_is_written_ahead(own_nats: servers.NatsServer) -> None:
    """What is in hand asks every few seconds, and an outage may take hours."""
    await runtime.bootstrap(own_nats.url)

    async def nothing(batch: list[Delivery]) -> None:
        pass

    async with runtime.open_log(own_nats.url) as (log, _):
        holder = Consumer(log, consumer.make_broker(own_nats.url, "test"), topology.DISPATCHER, nothing)
        held = [Delivery(holder, a_request(), f"$JS.ACK.{number}", 1, 0.0) for number in range(200)]
        own_nats.kill()
        await eventually(lambda: not log.client.is_connected)
        await heartbeats.keep_alive(log, held)
        assert log.client.pending_data_size == 0


async def test_an_acked_record_does_not_come_again_after_a_restart_of_the_consumer(url: str) -> None:
    first: list[str] = []
    second: list[str] = []

    def into(seen: list[str]) -> Callable[[list[Delivery]], Awaitable[None]]:
        async def handle(batch: list[Delivery]) -> None:
            for delivery in batch:
                seen.append(delivery.record.event_id)
                await delivery.ack()

        return handle

    async with runtime.open_log(url) as (_, publisher):
        async with consuming(url, into(first)):
            await publisher.append(a_request(), guard=0)
            await eventually(lambda: len(first) == 1)
        async with consuming(url, into(second)):
            later = a_request()
            await publisher.append(later, guard=0)
            await eventually(lambda: second == [later.event_id])
