"""The rows of batches: a thousand personalised emails in one call against the bare append, and who sends beside them."""

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator

from bench import load, sending
from bench.figures import Row, quantile
from bench.sending import READERS
from shared.events.base import EmailId, EventId
from shared.events.record import Record
from shared.runtime import log
from shared.runtime.publisher import Publisher
from tests.controls.emails import a_request
from tests.controls.world import World, short_name

BATCH = "/api/v1/emails/batch"
SIZE = 1000
CONNECTIONS = 4
HTML = (
    "<html><body><h1>Hello {{ name }}</h1>"
    + '<p>Order {{ order.number }} of {{ day }} is on <a href="https://shop.test/o">its way</a>.</p>' * 5
    + "</body></html>"
)
TEXT = "Hello {{ name }},\n\norder {{ order.number }} of {{ day }} is on its way. https://shop.test/o\n" * 4


def requests(count: int, key: str) -> Iterator[bytes]:
    """Return batch requests whose subject, html and text have variables, each with its own Idempotency-Key."""
    for _ in range(count):
        recipients = [
            {
                "to": f"user{number}@example.com",
                "variables": {"name": f"User {number}", "day": "Monday", "order": {"number": number}},
            }
            for number in range(SIZE)
        ]
        body = {"subject": "Order {{ order.number }}", "html": HTML, "text": TEXT, "recipients": recipients}
        yield load.post(BATCH, json.dumps(body).encode(), key, f"Idempotency-Key: {uuid.uuid4()}\r\n")


async def batch_accept(world: World, batches: int = 24) -> list[Row]:
    """Emails accepted in batches of 1000, and what the same log takes of prepared records in such batches.

    Accepting is measured alone: what is accepted waits in the log meanwhile, its readers stand still.
    """
    readers = [pid for pid, command in world.pids().items() if short_name(command) in READERS]
    made = list(requests(batches, world.key))
    await load.closed_loop(world.ports["GATEWAY"], requests(2, world.key), 2)
    try:
        for pid in readers:
            os.kill(pid, signal.SIGSTOP)
        cpu = world.cpu_seconds()
        answered = await load.closed_loop(world.ports["GATEWAY"], iter(made), CONNECTIONS)
        used = {name: value - cpu.get(name, 0.0) for name, value in world.cpu_seconds().items()}
        control = await _bare(world, batches)
        beside = await _beside(world, batches * 10)
    finally:
        for pid in readers:
            os.kill(pid, signal.SIGCONT)
    assert set(answered.statuses) == {202}, answered.statuses
    rate = answered.per_second * SIZE
    gateway, broker = (used[name] / (batches * SIZE) * 1e6 for name in ("gateway", "nats-server"))
    return [
        Row(
            name=f"batch of {SIZE} with variables, {CONNECTIONS} connections",
            figure=f"{rate:,.0f} emails/s, p99 {answered.p99_ms():.0f} ms a batch, us CPU an email: "
            f"gateway {gateway:.0f}, nats-server {broker:.0f}",
            control=f"prepared records in such batches {control:,.0f}/s",
            bar=">= 8,000/s",
            met=rate >= 8000,
            values={"per_second": rate, "gateway_us": gateway, "control_per_second": control},
        ),
        beside,
    ]


async def _beside(world: World, count: int, per_second: int = 50) -> Row:
    """Single sends while others send batches over all connections, and the same alone."""
    port, over = world.ports["GATEWAY"], asyncio.Event()

    def batches() -> Iterator[bytes]:
        for request in requests(count, world.key):
            if over.is_set():
                return
            yield request

    async def singles() -> load.Answered:
        return await load.at_rate(port, sending.requests(count, world.key, idempotent=False), per_second)

    alone = await singles()
    others = asyncio.create_task(load.closed_loop(port, batches(), CONNECTIONS))
    beside = await singles()
    over.set()
    answered = await others
    assert set(answered.statuses) == set(beside.statuses) == {202}, (answered.statuses, beside.statuses)
    median, usual = quantile(beside.latencies, 0.5) * 1000, quantile(alone.latencies, 0.5) * 1000
    return Row(
        name=f"single sends at {per_second}/s beside {len(answered.latencies)} such batches",
        figure=f"p50 {median:.0f} ms, p99 {beside.p99_ms():.0f} ms",
        bar="",
        control=f"alone p50 {usual:.0f} ms, p99 {alone.p99_ms():.0f} ms",
        values={"p50_ms": median, "p99_ms": beside.p99_ms(), "alone_p50_ms": usual},
    )


async def _bare(world: World, batches: int) -> float:
    """Append batches of one prepared event, each under ids of its own, and return records per second."""
    client = await log.connect(world.variables["SENDLOG_NATS_URL"], "bench")
    emails = log.Log(client)
    await emails.open()
    publisher = Publisher(emails)
    publisher.start()
    pattern = a_request(text=TEXT * 4, release="turn")
    prepared: list[list[Record]] = [
        [
            pattern._replace(email_id=EmailId(str(uuid.uuid4())), event_id=EventId(str(uuid.uuid4())))
            for _ in range(SIZE)
        ]
        for _ in range(batches)
    ]
    began = time.perf_counter()
    for records in prepared:
        await publisher.append_all(records)
    seconds = time.perf_counter() - began
    await publisher.stop()
    await client.close()
    return batches * SIZE / seconds
