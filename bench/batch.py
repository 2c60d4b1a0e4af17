"""The row of batches: POST /emails/batch with a thousand personalised emails, against the bare append."""

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator

from bench import load
from bench.figures import Row
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
        )
    ]


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
