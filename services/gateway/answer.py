"""Owns the bytes of an answer: head and body in one write, or a file piece by piece.

aiohttp's own response copies its headers twice and renders them one by one, a tenth of what a request costs.
Here the head is one formatted string; Date, Content-Length and Connection are added, and HEAD has no body.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import HttpVersion10, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

logger = structlog.get_logger(__name__)
STALLED_AFTER: Final = 60.0
_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_FIXED: Final = "Server: sendlog\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"


class _Headed(web.StreamResponse):
    """An answer whose head is known, and how long its body is."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status=status)
        self._head = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if self._head.count("\n") != len(headers) or "\0" in self._head:
            raise ValueError("a header value holds a line break")

    def _first_bytes(self, request: web.BaseRequest, length: int | None) -> bytes:
        """Return the head; keeps the connection if the client wants that and nobody forbade it."""
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        connection = "" if self._keep_alive else "Connection: close\r\n"
        if self._keep_alive and request.version == HttpVersion10:
            connection = "Connection: keep-alive\r\n"
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        return (
            f"{_LINES[self._status]}{self._head}{_FIXED}Date: {rfc822_formatted_time()}\r\n"
            f"{size}\r\n{connection}\r\n"
        ).encode("latin-1")

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: everything was written."""


class Answer(_Headed):
    """A whole answer, known before its first byte is written."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(status, headers)
        self._whole = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything."""
        head = self._first_bytes(request, len(self._whole))
        await request.writer.write(head if request.method == "HEAD" else head + self._whole)
        return None


class FileAnswer(_Headed):
    """A file in pieces as they come, of a known size or chunked; no more than one piece is in memory."""

    def __init__(
        self, status: int, size: int | None, pieces: AsyncGenerator[bytes, None], headers: Mapping[str, str]
    ) -> None:
        super().__init__(status, headers)
        self._size = size
        self._pieces = pieces

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything, or break the connection off: nothing else says that a file is not whole.

        Raises: ConnectionError.
        """
        async with aclosing(self._pieces):
            await request.writer.write(self._first_bytes(request, self._size))
            if request.method == "HEAD":
                return None
            if self._size is None:
                request.writer.enable_chunking()
            try:
                sent = await self._write_pieces(request)
            except ConnectionError:
                raise
            except Exception as fault:
                logger.error("file_broken_off", error=repr(fault))
                sent = -1
        if self._size is None and sent >= 0:
            await request.writer.write_eof()
        elif sent != self._size:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the file could not be read to its end")
        return None

    async def _write_pieces(self, request: web.BaseRequest) -> int:
        sent = 0
        async for piece in self._pieces:
            sent += len(piece)
            if self._size is not None and sent > self._size:
                break
            async with asyncio.timeout(STALLED_AFTER):  # a client that does not read holds a file open
                await request.writer.write(piece)
        return sent
