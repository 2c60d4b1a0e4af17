"""A form taken apart while it comes (RFC 7578): part after part, never more in memory than a piece and a head.

aiohttp's reader bounds neither the number of parts nor the bytes of one. Here a body that breaks a rule is refused
at the byte that breaks it.
"""

from collections.abc import AsyncGenerator
from typing import Final, Protocol

from services.gateway import multipart_head
from services.gateway.errors import PAYLOAD_TOO_LARGE, ApiError, Problem, invalid
from services.gateway.multipart_head import Head

MAX_PARTS: Final = 200
MAX_HEAD: Final = 8 * 1024
MAX_EPILOGUE: Final = 1024
_END: Final = b"\r\n\r\n"


class Body(Protocol):
    """Where the bytes of a form come from."""

    async def more(self) -> bytes:
        """Return the next bytes, none at the end."""

    def left(self) -> int | None:
        """Return how many are still announced, or None if nobody said."""


class Reader:
    """The parts of one form."""

    def __init__(self, body: Body, boundary: bytes) -> None:
        self._body = body
        self._mark = b"\r\n--" + boundary
        self._buffer = b""
        self._parts = 0

    async def next(self) -> Head | None:
        """Return the head of the next part, or None after the last. The body of the one before must be read.

        Raises: ApiError 400, 413, and what the body raises.
        """
        if not self._parts:
            await self._open()
        while len(self._buffer) < 2:
            await self._fill()
        if self._buffer.startswith(b"--"):
            await self._close()
            return None
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ApiError(PAYLOAD_TOO_LARGE, f"a form may have at most {MAX_PARTS} parts")
        return self._head(await self._block())

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the part whose head was returned last, to its end."""
        kept = len(self._mark) - 1
        while (end := self._buffer.find(self._mark)) < 0:
            if len(self._buffer) > kept:
                piece, self._buffer = self._buffer[:-kept], self._buffer[-kept:]
                yield piece
            await self._fill()
        piece, self._buffer = self._buffer[:end], self._buffer[end + len(self._mark) :]
        if piece:
            yield piece

    async def _open(self) -> None:
        """Read up to the first boundary; nothing may stand before it but a line break."""
        first = self._mark[2:]
        while len(self._buffer) < len(self._mark):
            await self._fill()
        self._buffer = self._buffer.removeprefix(b"\r\n")
        if not self._buffer.startswith(first):
            raise _broken("does not begin with the boundary that its Content-Type names")
        self._buffer = self._buffer[len(first) :]

    async def _close(self) -> None:
        """Read what stands behind the last boundary; it means nothing, and may not be much."""
        after = len(self._buffer)
        while after + (self._body.left() or 0) <= MAX_EPILOGUE:  # what is only announced is not waited for
            piece = await self._body.more()
            if not piece:
                return
            after += len(piece)
        raise _broken("goes on behind its last boundary")

    async def _block(self) -> bytes:
        """Return a head, with the rest of the boundary's line before it."""
        while (end := self._buffer.find(_END, 0, MAX_HEAD + len(_END))) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ApiError(PAYLOAD_TOO_LARGE, f"the head of a part may have at most {MAX_HEAD} bytes")
            await self._fill()
        block, self._buffer = self._buffer[:end], self._buffer[end + len(_END) :]
        return block

    def _head(self, block: bytes) -> Head:
        padding, line_break, lines = block.partition(b"\r\n")
        if padding.strip(b" \t"):
            raise _broken("has the boundary inside of a line")
        try:
            if not line_break:
                raise multipart_head.HeadError("a part needs a head")
            return multipart_head.parse(lines)
        except multipart_head.HeadError as error:
            raise invalid([Problem("$", f"part {self._parts}: {error}")]) from None

    async def _fill(self) -> None:
        piece = await self._body.more()
        if not piece:
            raise _broken("ends before its last boundary")
        self._buffer += piece


def _broken(how: str) -> ApiError:
    return invalid([Problem("$", how)])
