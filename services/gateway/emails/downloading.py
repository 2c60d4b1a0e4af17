"""What GET /emails/:id/attachments/:attachment_id does: one file of an email, or a range of it, as it was given.

The first piece is read before anything is answered, so what is gone is said and not broken off; a whole file is
held against its digest, and one that is damaged is broken off before its end.
"""

import hashlib
from collections.abc import AsyncGenerator
from typing import Final

import structlog

from services.gateway import errors
from services.gateway.emails import ranges, reading
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Download, Request
from shared.events import email
from shared.runtime.content import ContentMissing, ContentUnavailable

logger = structlog.get_logger(__name__)
_GONE: Final = {
    reading.EXPIRED: "the content of this email has expired: its history is kept, its files are not",
    reading.LOST: "the file is lost: the content store does not have it any more",
}


async def download(request: Request) -> Download:
    """Return a file of an email. Raises: ApiError 404, 416, 503."""
    found = await reading.load(request.services, request.workspace, request.path["id"])
    files = found.state.email.attachments if found.state.email else ()
    file = next((one for one in files if one.id == request.path["attachment_id"]), None)
    if file is None:
        raise errors.not_found("attachment")
    part = _part(request, file)
    start, end = (part.start, part.end) if part else (0, file.size)
    pieces = request.services.content.stream(file.key, start, end)
    first = await _first(request, file, pieces)
    headers = {"Accept-Ranges": "bytes", "ETag": _etag(file)}
    if part is not None:
        headers["Content-Range"] = part.header()
    return Download(
        file.content_type,
        file.filename,
        end - start,
        _rest(first, pieces, None if part else file.sha256),
        status=206 if part else None,
        headers=headers,
    )


def _etag(file: email.Attachment) -> str:
    return f'"{file.sha256}"'


def _part(request: Request, file: email.Attachment) -> ranges.Range | None:
    """Return the range asked for, unless it was asked for of another file (If-Range, RFC 9110 13.1.5)."""
    if request.headers.get("If-Range", _etag(file)) != _etag(file):
        return None
    return ranges.asked(request.headers.get("Range"), file.size)


async def _first(request: Request, file: email.Attachment, pieces: AsyncGenerator[bytes, None]) -> bytes:
    """Return the first piece, none of an empty file. Raises: ApiError 404 when the content is gone, 503."""
    if file.size == 0:
        return b""
    try:
        return await anext(pieces, b"")
    except ContentMissing:
        raise await _gone(request, file) from None
    except ContentUnavailable as error:
        logger.warning("content_unavailable", key=file.key, error=str(error))
        raise errors.unavailable("the file cannot be read right now") from error


async def _gone(request: Request, file: email.Attachment) -> ApiError:
    found = await reading.file_gone(request.services, request.workspace, request.path["id"], file.key)
    return ApiError(errors.NOT_FOUND, _GONE[found.reason], [Problem("$.content", found.reason)])


async def _rest(
    first: bytes, pieces: AsyncGenerator[bytes, None], sha256: str | None
) -> AsyncGenerator[bytes, None]:
    """Yield all pieces, the last one only when the whole is what was given. Raises: ValueError."""
    digest = hashlib.sha256(first)
    held = first
    async for piece in pieces:
        digest.update(piece)
        yield held
        held = piece
    if sha256 is not None and digest.hexdigest() != sha256:
        raise ValueError("the file is not what was stored: its digest is another")
    if held:
        yield held
