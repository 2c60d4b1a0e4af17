"""The rows of tracking: pixel, click and what the log keeps up with, against hello GET in the same run."""

import asyncio
import email
import email.policy
import shutil
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiosmtplib
from nats.js.api import StreamInfo

from bench import load, sending
from bench.figures import Row
from deploy.local.ports import free_port
from services.tracker import inbound
from shared.events import record
from shared.runtime import handles, topology
from shared.runtime import log as log_
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Workspace
from tests.controls import dispatching, emails, runtime, servers, tracking
from tests.controls.eventually import eventually
from tests.controls.tracking import PERSON, TrackerProcess, was_sent
from tests.controls.world import Sink, World

CONNECTIONS = 64
HTML = "<html><body>" + "".join(
    f'<p>A line of a receipt, <a href="https://shop.test/orders/{number}?from=mail">as they are</a>.</p>\n'
    for number in range(10)
) + "</body></html>"  # fmt: skip
REPORT = """\
From: MAILER-DAEMON@mx.test (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <report{number}@mx.test>
Date: Tue, 24 Nov 2026 12:00:00 +0000
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

<user{number}@example.com>: host mx.example.com said: 550 5.1.1 User unknown

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test
Arrival-Date: Tue, 24 Nov 2026 12:00:00 +0000

Final-Recipient: rfc822; user{number}@example.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--b
Content-Type: text/rfc822-headers

From: hello@sendlog.test
To: user{number}@example.com
Subject: Welcome

--b--
"""
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


async def on_and_off(world: World, sink: Sink, account: str, count: int) -> list[Row]:
    """End to end with HTML of ten links, tracked and not; each in turn, so that both meet the same machine."""
    on: list[float] = []
    off: list[float] = []
    for turn in range(TURNS + 1):
        for signals, rates in ((True, on), (False, off)):
            wanted = {"opens": signals, "clicks": signals, "delivery": True, "read": False}
            row = await sending.end_to_end(
                world, sink, account, CONNECTIONS, count // TURNS, html=HTML, tracking=wanted
            )
            if turn:  # the first one warms up
                rates.append(row.values["per_second"])
    tracked, plain = sorted(on)[TURNS // 2], sorted(off)[TURNS // 2]
    return [
        Row(
            name="end to end, HTML of ten links, tracked",
            figure=f"{tracked:,.0f}/s = {tracked / plain:.2f} x untracked",
            control=f"untracked {plain:,.0f}/s",
            bar=">= 0.8 x untracked",
            met=tracked / plain >= 0.8,
            values={"per_second": tracked, "ratio": tracked / plain},
        )
    ]


async def ingest(scale: int) -> list[Row]:
    """Delivery reports of different emails by SMTP, as an MTA hands them on: found, kept, suppressed, in the log."""
    count = 3000 // scale
    home = servers.own_directory()
    broker = servers.NatsServer(home)
    tracker: TrackerProcess | None = None
    try:
        await asyncio.to_thread(broker.start)
        await runtime.bootstrap(broker.url)
        items = await _emails(broker.url, count)
        tracker = TrackerProcess(home, broker.url)
        async with runtime.open_log(broker.url) as (log, _):
            await dispatching.store(log, dispatching.an_account(25, return_path_domain="bounces.test"))
            await _workspace(log)
        await asyncio.to_thread(tracker.start)
        await eventually(lambda: tracking.takes(tracker), within=20)
        reports = [_report(tracker, item, number) for number, item in enumerate(items)]
        stdlib, read = _parsing([raw for _, raw in reports[:300]])
        await _handed_on(tracker, reports[: count // 10])
        rest = reports[count // 10 :]
        before, began = await _records(broker.url), time.perf_counter()
        cpu, brokers = _cpu(tracker), sending.cpu_of(broker.pid)
        await _handed_on(tracker, rest)
        seconds, used = time.perf_counter() - began, _cpu(tracker) - cpu
        brokers = sending.cpu_of(broker.pid) - brokers
        assert await _records(broker.url) == before + len(rest), "not every report is in the log"
    finally:
        if tracker is not None:
            await asyncio.to_thread(tracker.kill)
        await asyncio.to_thread(broker.kill)
        shutil.rmtree(home, ignore_errors=True)
    return [
        Row(
            name="delivery reports by SMTP, hard bounces, suppressed and in the log",
            figure=f"{len(rest) / used:,.0f} a second of the tracker's CPU ({used / len(rest) * 1e6:,.0f} us, beside "
            f"{brokers / len(rest) * 1e6:,.0f} us of the broker), {len(rest) / seconds:,.0f}/s",
            control=f"the stdlib's parser alone {stdlib:,.0f} us",
            bar=">= 300/s a core",
            met=len(rest) / used >= 300,
            values={
                "per_core": len(rest) / used,
                "broker_us": brokers / len(rest) * 1e6,
                "per_second": len(rest) / seconds,
                "control_us": stdlib,
            },
        ),
        _reading(read, stdlib),
    ]


def _reading(ours: float, stdlib: float) -> Row:
    return Row(
        name="delivery reports, read and judged",
        figure=f"{1e6 / ours:,.0f} a second of CPU ({ours:,.0f} us)",
        control=f"the stdlib's parser alone {stdlib:,.0f} us",
        bar="",
        values={"us": ours, "control_us": stdlib},
    )


async def _workspace(log: log_.Log) -> None:
    bucket = Bucket(log.client, topology.WORKSPACES, Workspace)
    await bucket.put("default", Workspace(name="default", created_at=datetime.now(UTC)))


def _report(tracker: TrackerProcess, item: record.Record, number: int) -> tuple[str, bytes]:
    to = handles.return_path(tracker.tokens, item.workspace, item.email_id, "bounces.test", "a@b.test")
    return to, REPORT.format(to=to, number=number).replace("\n", "\r\n").encode()


def _parsing(messages: Sequence[bytes]) -> tuple[float, float]:
    """Return the CPU microseconds of the stdlib's parser, and of ours with the verdict."""
    began = time.process_time()
    for raw in messages:
        email.message_from_bytes(raw, policy=email.policy.default).get_content_type()
    between = time.process_time()
    for raw in messages:
        inbound.read(raw)
    ended = time.process_time()
    return (between - began) / len(messages) * 1e6, (ended - between) / len(messages) * 1e6


async def _handed_on(tracker: TrackerProcess, reports: Sequence[tuple[str, bytes]]) -> None:
    waiting = iter(reports)

    async def session() -> None:
        async with aiosmtplib.SMTP(
            hostname="127.0.0.1", port=tracker.ingress_port, use_tls=False, start_tls=False
        ) as client:
            for to, raw in waiting:
                await client.sendmail("", [to], raw)

    await asyncio.gather(*(session() for _ in range(8)))


ROWS = {"hits": hits, "ingest": ingest}
