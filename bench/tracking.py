"""The rows of tracking: pixel, click and what the log keeps up with, against hello GET in the same run."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nats.js.api import StreamInfo

from bench import load, sending
from bench.figures import Row
from deploy.local.ports import free_port
from shared.events import record
from shared.runtime import topology
from tests.controls import emails, runtime, servers
from tests.controls.tracking import PERSON, TrackerProcess, was_sent

CONNECTIONS = 64
TURNS = 3


async def hits(scale: int) -> list[Row]:
    """Pixels and clicks of different emails, each on disk before it is answered, then all in the log."""
    count = 18_000 // scale
    home = servers.own_directory()
    broker, port = servers.NatsServer(home), free_port()
    tracker: TrackerProcess | None = None
    hello: subprocess.Popen[bytes] | None = None
    try:
        await asyncio.to_thread(broker.start)
        await runtime.bootstrap(broker.url)
        items = await _emails(broker.url, count)
        tracker = TrackerProcess(home, broker.url)
        await asyncio.to_thread(tracker.start)
        hello = sending.start_hello(port)
        await sending.listening(port)
        rows = [
            await _measured(
                kind, tracker, broker.url, port, [_request(tracker, kind, item) for item in items]
            )
            for kind in ("pixel", "click")
        ]
        return [row for pair in rows for row in pair]
    finally:
        if hello is not None:
            hello.terminate()
            hello.wait()
        if tracker is not None:
            await asyncio.to_thread(tracker.kill)
        await asyncio.to_thread(broker.kill)
        shutil.rmtree(home, ignore_errors=True)


async def _emails(url: str, count: int) -> list[record.Record]:
    at = datetime.now(UTC) - timedelta(hours=1)
    items = [emails.a_request(f"user{number}@example.com", at=at) for number in range(count)]
    async with runtime.open_log(url) as (_, publisher):
        for start in range(0, count, 2000):
            part = items[start : start + 2000]
            await asyncio.gather(*(publisher.append(item, guard=0) for item in part))
            await asyncio.gather(*(publisher.append(was_sent(item, at)) for item in part))
    return items


def _request(tracker: TrackerProcess, kind: str, item: record.Record) -> bytes:
    path = tracker.pixel(item) if kind == "pixel" else tracker.link(item)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {PERSON}\r\nAccept: */*\r\n\r\n"
    return head.encode()


async def _measured(
    kind: str, tracker: TrackerProcess, nats_url: str, hello_port: int, requests: Sequence[bytes]
) -> list[Row]:
    """Take turns with the control; in between the log catches up, and how fast is a row of its own."""
    control = load.get("/hello", "none")
    await load.closed_loop(hello_port, iter([control] * 2000), CONNECTIONS)
    size = len(requests) // TURNS
    rates, controls, ratios, kept, p99 = [], [], [], [], []
    cpu = _cpu(tracker)
    for turn in range(TURNS):
        base = await load.closed_loop(hello_port, iter([control] * size), CONNECTIONS)
        before = await _records(nats_url)
        began = time.perf_counter()
        part = requests[turn * size : (turn + 1) * size]
        ours = await load.closed_loop(tracker.port, iter(part), CONNECTIONS)
        assert set(ours.statuses) <= {200, 302}, ours.statuses
        while await _records(nats_url) < before + size:
            assert time.perf_counter() - began < 60, "the log does not get the hits"
            await asyncio.sleep(0.02)
        kept.append(size / (time.perf_counter() - began))
        rates.append(ours.per_second)
        controls.append(base.per_second)
        ratios.append(ours.per_second / base.per_second)
        p99.append(ours.p99_ms())
    micros = (_cpu(tracker) - cpu) / (size * TURNS) * 1e6
    ratio = sorted(ratios)[TURNS // 2]
    rate = sorted(rates)[TURNS // 2]
    return [
        Row(
            name=f"{kind}, on disk before the answer, {CONNECTIONS} connections",
            figure=f"{rate:,.0f}/s = {ratio:.2f} x hello, p99 {sorted(p99)[TURNS // 2]:.1f} ms",
            control=f"hello GET {sorted(controls)[TURNS // 2]:,.0f}/s",
            bar=">= 0.6 x hello",
            met=ratio >= 0.6,
            values={"per_second": rate, "ratio": ratio},
        ),
        Row(
            name=f"{kind}, of different emails, until all are in the log (2.2 s held)",
            figure=f"{sorted(kept)[TURNS // 2]:,.0f}/s, {micros:.0f} us CPU of the tracker each",
            bar="",
            values={"per_second": sorted(kept)[TURNS // 2], "cpu_us": micros},
        ),
    ]


async def _records(nats_url: str) -> int:
    async with runtime.open_log(nats_url) as (log, _):
        info: StreamInfo = await log.client.jetstream().stream_info(topology.LOG)
        return info.state.messages


def _cpu(tracker: TrackerProcess) -> float:
    return sending.cpu_of(tracker.pid)


ROWS = {"hits": hits}
