"""Owns the reading of a request's body: bounded in bytes and in time, before anything looks inside.

Bytes are counted while they come, for a Content-Length may lie or be absent; a client that dribbles is cut
off, for every open request holds memory.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web
from aiohttp.client_exceptions import ClientError
from aiohttp.web_exceptions import HTTPException

from services.gateway.errors import (
    PAYLOAD_TOO_LARGE,
    REQUEST_TIMEOUT,
    UNSUPPORTED_MEDIA_TYPE,
    ApiError,
    Problem,
    invalid,
)

PROGRESS_WITHIN: Final = 10.0
WHOLE_WITHIN: Final = 30.0
PIECE: Final = 64 * 1024
LEAST_RATE: Final = 32 * 1024  # bytes a second that a large body must keep up with, over its whole length
_EMPTY: Final = 1024


class Gone(Exception):
    """The client has left before its request was whole: nobody is there to be answered."""


def require_plain(incoming: web.BaseRequest) -> None:
    """Refuse a compressed body: a few bytes of gzip are gigabytes of zeros. Raises: ApiError."""
    if incoming.headers.get("Content-Encoding", "identity") != "identity":
        raise ApiError(UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed (Content-Encoding)")


def require_json(incoming: web.BaseRequest) -> None:
    """Refuse what is not said to be plain JSON. Raises: ApiError."""
    headers = incoming.headers
    kind = headers.get("Content-Type", "")
    if kind != "application/json":
        name, _, parameters = kind.partition(";")
        charset = parameters.lower().replace(" ", "").replace('"', "")
        if name.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
            raise ApiError(UNSUPPORTED_MEDIA_TYPE, "the body must be application/json in UTF-8")
    require_plain(incoming)


async def nothing(incoming: web.BaseRequest) -> None:
    """Refuse a body where none is read: whoever sends one wants something that would not happen. Raises: ApiError."""
    if incoming.can_read_body and (await body(incoming, _EMPTY)).strip() not in (b"", b"{}"):
        raise invalid([Problem("$", "this request takes no body")])


async def body(incoming: web.BaseRequest, limit: int) -> bytes:
    """Return the whole body, at most `limit` bytes.

    Raises: ApiError (PAYLOAD_TOO_LARGE, REQUEST_TIMEOUT, VALIDATION_ERROR), Gone.
    """
    declared = incoming.content_length
    if declared is not None and declared > limit:
        raise _too_large(limit)
    content = incoming.content
    if content.is_eof():
        data = content.read_nowait(-1)
        if len(data) > limit:
            raise _too_large(limit)
        return data
    with _explained():
        async with asyncio.timeout(WHOLE_WITHIN):
            await _invite(incoming)
            return await _rest(incoming, limit)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what can go wrong between a client and us into what it is told. Raises: ApiError, Gone."""
    try:
        yield
    except TimeoutError:
        raise ApiError(REQUEST_TIMEOUT, "the body did not arrive in time") from None
    except ConnectionError as error:
        raise Gone from error
    except (
        ClientError,
        HTTPException,
        web.RequestPayloadError,
    ):  # not HTTP: a chunk that is none, an end before the promised length
        raise invalid([Problem("$", "the body is not framed as HTTP/1.1 requires")]) from None


class Large:
    """A large body, a piece at a time: counted, and cut off when it stops or only dribbles.

    No whole body is waited for any longer than its bytes justify, so a slow link gets its files through, and a
    client that sends a byte a minute does not hold anything for long.
    """

    def __init__(self, incoming: web.BaseRequest, limit: int) -> None:
        self._declared = incoming.content_length
        if self._declared is not None and self._declared > limit:
            raise _too_large(limit)
        self._incoming = incoming
        self._limit = limit
        self._clock = asyncio.get_running_loop().time
        self._began_at = 0.0
        self._received = 0

    def left(self) -> int | None:
        """Return how many bytes Content-Length still announces."""
        return None if self._declared is None else self._declared - self._received

    async def more(self) -> bytes:
        """Return the next bytes, none at the end. Raises: ApiError 400, 408, 413; Gone."""
        with _explained():
            if not self._began_at:
                self._began_at = self._clock()
                await _invite(self._incoming)
            due = self._began_at + WHOLE_WITHIN + self._received / LEAST_RATE
            async with asyncio.timeout_at(min(due, self._clock() + PROGRESS_WITHIN)):
                piece = await self._incoming.content.read(PIECE)
        self._received += len(piece)
        if self._received > self._limit:
            raise _too_large(self._limit)
        return piece


async def _rest(incoming: web.BaseRequest, limit: int) -> bytes:
    parts = bytearray()
    content = incoming.content
    while not content.at_eof():
        async with asyncio.timeout(PROGRESS_WITHIN):
            parts += await content.readany()
        if len(parts) > limit:
            raise _too_large(limit)
    return bytes(parts)


async def _invite(incoming: web.BaseRequest) -> None:
    """Ask for the body, if the client waits to be asked (RFC 9110 10.1.1)."""
    if incoming.headers.get("Expect", "").lower() == "100-continue":
        await incoming.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        incoming.writer.output_size = 0


def _too_large(limit: int) -> ApiError:
    return ApiError(PAYLOAD_TOO_LARGE, f"the body is larger than {limit} bytes")
