"""A closed-loop HTTP load client that costs little beside the server it measures.

Requests are put together beforehand; a connection sends its next one when the answer is there. Loopback
only, bounded in count.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import cast

import msgspec

from bench.figures import quantile


class Answered(msgspec.Struct):
    """What a run came to; latencies in seconds, in the order of the answers."""

    seconds: float
    statuses: dict[int, int]
    latencies: list[float]

    @property
    def per_second(self) -> float:
        """Return answers per second."""
        return len(self.latencies) / self.seconds

    def p99_ms(self) -> float:
        """Return the 99th percentile of the latencies in milliseconds."""
        return quantile(self.latencies, 0.99) * 1000


class _Connection(asyncio.Protocol):
    """One keep-alive connection: writes a request, waits for the whole answer, goes on."""

    def __init__(self, requests: Iterator[bytes], on_answer: Callable[[int, float, bytes], None]) -> None:
        self._requests, self._on_answer = requests, on_answer
        self._buffer = bytearray()
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length: ")
        length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        self._on_answer(int(head[9:12]), time.perf_counter() - self._sent_at, body)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            if error:
                self.done.set_exception(error)
            else:
                self.done.set_result(None)

    def _next(self) -> None:
        assert self._transport is not None
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


def post(path: str, body: bytes, key: str, extra: str = "") -> bytes:
    """Return a POST request as bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


def get(path: str, key: str) -> bytes:
    """Return a GET request as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


async def closed_loop(
    port: int,
    requests: Iterator[bytes],
    connections: int,
    on_body: Callable[[bytes], None] | None = None,
) -> Answered:
    """Send all requests over that many connections, each as fast as it is answered."""
    latencies: list[float] = []
    statuses: dict[int, int] = {}

    def on_answer(status: int, seconds: float, body: bytes) -> None:
        latencies.append(seconds)
        statuses[status] = statuses.get(status, 0) + 1
        if on_body:
            on_body(body)

    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    opened = [
        await loop.create_connection(lambda: _Connection(requests, on_answer), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in opened))
    return Answered(time.perf_counter() - started, statuses, latencies)


async def at_rate(port: int, requests: Iterator[bytes], per_second: float, connections: int = 32) -> Answered:
    """Send all requests at a steady rate; latency counts from the moment each was due."""
    queue: asyncio.Queue[tuple[bytes, float] | None] = asyncio.Queue()
    latencies: list[float] = []
    statuses: dict[int, int] = {}

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (item := await queue.get()) is not None:
            request, due = item
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            at = head.find(b"content-length: ")
            if at >= 0:
                await reader.readexactly(int(head[at + 16 :].split(b"\r\n", 1)[0]))
            latencies.append(time.perf_counter() - due)
            status = int(head[9:12])
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    workers = [asyncio.create_task(worker()) for _ in range(connections)]
    started = time.perf_counter()
    for number, request in enumerate(requests):
        due = started + number / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        queue.put_nowait((request, due))
    for _ in workers:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    return Answered(time.perf_counter() - started, statuses, latencies)
