"""The row of 50 MB uploads: the gateway, durably, beside the same server and parser throwing the bytes away.

python -m bench.multipart PORT     runs the control
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psutil
from aiohttp import web

from bench.figures import Row
from deploy.local.ports import free_port
from services.gateway import multipart, multipart_head, reading
from services.gateway.http_server import HttpServer
from shared.runtime import process
from tests.controls.world import ROOT, World, short_name

SIZE = 50 * 1024 * 1024
PATH = "/api/v1/emails/send/multipart"
_MARK = "XmarkX"
_PIECE = os.urandom(512 * 1024)


def _form() -> tuple[bytes, bytes]:
    """Return what stands before and after the file: an email for tomorrow, so that nothing is sent meanwhile."""
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    fields = {"to": "ann@example.com", "subject": "A large file", "text": "See there.", "scheduled_at": at}
    head = "".join(
        f'--{_MARK}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += f'--{_MARK}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
    return head.encode(), f"\r\n--{_MARK}--\r\n".encode()


async def _upload(port: int, key: str) -> float:
    """Upload one file over a connection of its own; return the seconds until the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head, tail = _form()
    began = time.perf_counter()
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: multipart/form-data; boundary={_MARK}\r\n"
        f"Content-Length: {len(head) + SIZE + len(tail)}\r\n\r\n".encode()
        + head
    )
    for _ in range(SIZE // len(_PIECE)):
        writer.write(_PIECE)
        await writer.drain()
    writer.write(tail)
    status = (await reader.readuntil(b"\r\n")).split()[1]
    took = time.perf_counter() - began
    assert status == b"202", status + await reader.read(4096)
    writer.close()
    return took


async def upload(world: World, rounds: int) -> list[Row]:
    """50 MB to the gateway and to the control in turns; the gateway's largest growth while they come."""
    port = free_port()
    control = _control(port)
    gateway = next(pid for pid, command in world.pids().items() if short_name(command) == "gateway")
    try:
        await _listening(port)
        await _upload(port, "none")
        await _upload(world.ports["GATEWAY"], world.key)
        before = largest = psutil.Process(gateway).memory_info().rss
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(await _upload(port, "none"))
            upload = asyncio.create_task(_upload(world.ports["GATEWAY"], world.key))
            while not upload.done():
                largest = max(largest, psutil.Process(gateway).memory_info().rss)
                await asyncio.wait({upload}, timeout=0.02)
            ours.append(upload.result())
    finally:
        control.terminate()
        control.wait()
    return [_row(statistics.median(ours), statistics.median(theirs), largest - before)]


def _control(port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.multipart", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL
    )


def _row(ours: float, theirs: float, grown: int) -> Row:
    megabytes = SIZE / 1e6
    ratio = theirs / ours
    return Row(
        name="50 MB multipart, on disk",
        figure=f"{megabytes / ours:.0f} MB/s = {ratio:.2f} x parse only, RSS + {grown / 2**20:.1f} MiB",
        control=f"parse and discard {megabytes / theirs:.0f} MB/s",
        bar=">= 0.6 x, RSS + <= 20 MB",
        met=ratio >= 0.6 and grown <= 20e6,
        values={"megabytes_per_second": megabytes / ours, "ratio": ratio, "rss_growth": grown},
    )


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.02)


async def _discard(request: web.BaseRequest) -> web.StreamResponse:
    boundary = multipart_head.boundary(request.headers["Content-Type"])
    parts = multipart.Reader(reading.Large(request, 2 * SIZE), boundary)
    while await parts.next() is not None:
        async for _ in parts.body():
            pass
    return web.Response(status=202, text="{}")


if __name__ == "__main__":
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def build() -> AsyncIterator[None]:
        runner = web.ServerRunner(HttpServer(_discard))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
        yield
        await runner.cleanup()

    process.run("discard", build)
