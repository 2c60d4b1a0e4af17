"""The rows of the sending path: durable accept, end to end, latency, idle, start."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from bench import load
from bench.figures import Row, quantile
from deploy.local.ports import free_port
from tests.controls.eventually import eventually
from tests.controls.world import ROOT, Sink, World, short_name

TEXT = "A kilobyte of text, line by line, as a receipt has it.\n" * 17
SEND = "/api/v1/emails/send"
READERS = ("dispatcher", "scheduler", "projector")


def requests(
    count: int, key: str, account: str | None = None, idempotent: bool = True, **fields: object
) -> Iterator[bytes]:
    """Return send requests of about 1 KB, each with its own Idempotency-Key; `fields` stand beside or for ours."""
    for number in range(count):
        body: dict[str, object] = {
            "to": f"user{number}@example.com",
            "subject": f"Receipt {number}",
            "text": TEXT,
        }
        body |= fields
        if account:
            body["smtp_account_id"] = account
        extra = f"Idempotency-Key: {uuid.uuid4()}\r\n" if idempotent else ""
        yield load.post(SEND, json.dumps(body).encode(), key, extra)


def hello_requests(count: int) -> Iterator[bytes]:
    """Return the control's requests, of the same size."""
    body = json.dumps({"to": "user@example.com", "subject": "Receipt", "text": TEXT}).encode()
    return iter([load.post("/hello", body, "none")] * count)


async def durable_accept(world: World, count: int) -> list[Row]:
    """POST /emails/send at 64 connections against hello on the same server, and p99 at half load.

    Accepting is measured alone: what is accepted waits in the log meanwhile, its readers stand still.
    """
    port = free_port()
    hello = start_hello(port)
    readers = [pid for pid, command in world.pids().items() if short_name(command) in READERS]
    try:
        await listening(port)
        for pid in readers:
            os.kill(pid, signal.SIGSTOP)
        gateway = world.ports["GATEWAY"]
        prepared = list(requests(count, world.key, idempotent=False))
        await load.closed_loop(port, hello_requests(2000), 64)
        ratios, rates, controls = [], [], []
        for turn in range(3):
            control = await load.closed_loop(port, hello_requests(count // 3), 64)
            part = prepared[turn * count // 3 : (turn + 1) * count // 3]
            ours = await load.closed_loop(gateway, iter(part), 64)
            assert set(ours.statuses) == {202}, ours.statuses
            rates.append(ours.per_second)
            controls.append(control.per_second)
            ratios.append(ours.per_second / control.per_second)
        ratio, rate, base = sorted(ratios)[1], sorted(rates)[1], sorted(controls)[1]
        half = await load.at_rate(gateway, requests(int(rate * 2), world.key, idempotent=False), rate / 2)
    finally:
        for pid in readers:
            os.kill(pid, signal.SIGCONT)
        hello.terminate()
        hello.wait()
    return [
        Row(
            name="durable accept, 64 connections",
            figure=f"{rate:,.0f}/s = {ratio:.2f} x hello",
            control=f"hello {base:,.0f}/s",
            bar=">= 0.5 x hello",
            met=ratio >= 0.5,
            values={"per_second": rate, "ratio": ratio},
        ),
        Row(
            name="durable accept, p99 at half load",
            figure=f"{half.p99_ms():.1f} ms at {rate / 2:,.0f}/s",
            bar="<= 25 ms",
            met=half.p99_ms() <= 25,
            values={"p99_ms": half.p99_ms()},
        ),
    ]


def start_hello(port: int) -> subprocess.Popen[bytes]:
    """Start the control of the HTTP rows."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.hello", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL
    )


async def listening(port: int) -> None:
    """Return when somebody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.02)


async def end_to_end(
    world: World, sink: Sink, account: str, connections: int, count: int, **fields: object
) -> Row:
    """POST until the row says `sent`, for all emails; CPU of every process, client and sink included."""
    database = await asyncpg.connect(world.variables["SENDLOG_DATABASE_URL"])
    await sink.ask("reset")
    before_rows = await _sent(database)
    cpu, sunk = world.cpu_seconds(), cpu_of(sink.pid)
    made = list(requests(count, world.key, account, idempotent=False, **fields))
    own_built = time.process_time()
    began = time.perf_counter()
    answered = await load.closed_loop(world.ports["GATEWAY"], iter(made), connections)
    assert set(answered.statuses) == {202}, answered.statuses
    sent_by = 0.0
    while await _sent(database) - before_rows < count:
        if not sent_by and (await sink.count())["messages"] >= count:
            sent_by = time.perf_counter() - began
        if time.perf_counter() - began > 120:
            raise RuntimeError(f"only {await _sent(database) - before_rows} of {count} rows are `sent`")
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - began
    counts = await sink.count()
    assert counts["unique"] == count, counts
    await database.close()
    used = {name: value - cpu.get(name, 0.0) for name, value in world.cpu_seconds().items()}
    used["client"] = time.process_time() - own_built
    used["sink"] = cpu_of(sink.pid) - sunk
    micros = {name: value / count * 1e6 for name, value in used.items() if value > 0.01}
    total = sum(micros.values())
    bar = 2000 if connections == 64 else 2500
    parts = ", ".join(f"{name} {value:.0f}" for name, value in sorted(micros.items(), key=lambda p: -p[1]))
    return Row(
        name=f"end to end, {connections} connections, {count:,} emails",
        figure=f"{count / seconds:,.0f}/s, {total:.0f} us CPU per email ({parts})",
        control=f"accepted {answered.per_second:,.0f}/s, at the sink after {sent_by:.1f} s, "
        f"duplicates {counts['duplicates']}",
        bar=f">= {bar:,}/s, <= 800 us",
        met=count / seconds >= bar and total <= 800,
        values={"per_second": count / seconds, "cpu_us": total, **micros},
    )


async def _sent(database: asyncpg.Connection) -> int:
    count: int = await database.fetchval("SELECT count(*) FROM projector.emails WHERE status = 'sent'")
    return count


def cpu_of(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def latency(world: World, sink: Sink, account: str, per_second: int = 400, seconds: int = 10) -> Row:
    """From the 202 to the first SMTP command, at a steady rate."""
    await sink.ask("reset")
    accepted: dict[str, float] = {}

    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.ports["GATEWAY"])
        while (request := await queue.get()) is not None:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head[head.find(b"content-length: ") + 16 :].split(b"\r\n", 1)[0])
            body = json.loads(await reader.readexactly(length))
            accepted[body["data"]["message_id"]] = time.time()
        writer.close()

    reader_tasks = [asyncio.create_task(worker()) for _ in range(16)]
    count = per_second * seconds
    began = time.perf_counter()
    for number, request in enumerate(requests(count, world.key, account, idempotent=False)):
        if (wait := began + number / per_second - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        queue.put_nowait(request)
    for _ in reader_tasks:
        queue.put_nowait(None)
    await asyncio.gather(*reader_tasks)
    await eventually(lambda: _took(sink, count), within=60, every=0.05)
    lines = [json.loads(line) for line in (await sink.ask("ids")).splitlines()]
    waits = [line["at"] - accepted[line["message_id"]] for line in lines if line["message_id"] in accepted]
    p50, p99 = quantile(waits, 0.5) * 1000, quantile(waits, 0.99) * 1000
    return Row(
        name=f"accepted to first SMTP command, {per_second}/s",
        figure=f"p50 {p50:.1f} ms, p99 {p99:.1f} ms ({len(waits)} emails)",
        bar="p99 <= 40 ms",
        met=p99 <= 40,
        values={"p50_ms": p50, "p99_ms": p99},
    )


async def _took(sink: Sink, count: int) -> bool:
    return (await sink.count())["messages"] >= count


async def idle(world: World, seconds: float = 20.0) -> Row:
    """Memory and CPU of the whole local world with nothing to do."""
    await asyncio.sleep(5)
    before = sum(world.cpu_seconds().values())
    await asyncio.sleep(seconds)
    share = (sum(world.cpu_seconds().values()) - before) / seconds * 100
    memory = world.resident_mb()
    return Row(
        name="idle, whole local world",
        figure=f"{memory:.0f} MB, {share:.1f} % of a core",
        bar="<= 500 MB, <= 3 %",
        met=memory <= 500 and share <= 3,
        values={"mb": memory, "percent": share},
    )


def start(home: Path) -> Row:
    """`make run` on an installed checkout until its first email is in the mailbox."""
    world = World(home)
    began = time.monotonic()
    try:
        ready = world.start()
        world.call("POST", "/emails/send", {"to": "first@example.com", "subject": "first", "text": "x"})
        url = f"{world.variables['SENDLOG_MAILBOX_URL']}/messages?to=first@example.com"
        while not _has_message(url):
            time.sleep(0.02)
        seconds = time.monotonic() - began
    finally:
        world.stop()
    return Row(
        name="make run, to the first email in the mailbox",
        figure=f"{seconds:.1f} s (ready after {ready:.1f} s)",
        bar="<= 10 s",
        met=seconds <= 10,
        values={"seconds": seconds},
    )


def _has_message(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bool(json.load(answer))
