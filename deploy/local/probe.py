"""One HTTP GET on loopback, for asking a child whether it is ready.

A whole HTTP client would cost the supervisor more memory than everything else it does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from deploy.local.ports import LOOPBACK


async def accepts(port: int) -> bool:
    """Say whether somebody accepts connections on a port."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def answers_ok(port: int, path: str, *, within: float = 1.0) -> bool:
    """Say whether a GET of `path` is answered with 200 in `within` seconds; silence and refusal are a no."""
    try:
        async with asyncio.timeout(within):
            return b" 200 " in await _ask(port, path, asyncio.StreamReader.readline)
    except (OSError, TimeoutError):
        return False


async def answer(port: int, path: str, *, within: float = 2.0) -> bytes:
    """Return the whole answer to a GET of `path`, its head included; empty when there is none."""
    try:
        async with asyncio.timeout(within):
            return await _ask(port, path, lambda reader: reader.read())
    except (OSError, TimeoutError):
        return b""


async def _ask(port: int, path: str, read: Callable[[asyncio.StreamReader], Awaitable[bytes]]) -> bytes:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode())
        return await read(reader)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
