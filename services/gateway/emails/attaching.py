"""Attachments on their way into the content store: each under a key of its own, whole before the record names it.

Whatever is not accepted is taken out again. Only what may have been accepted, and what a crash left, stays for
the projector's sweep, which knows what no email refers to.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from services.gateway import errors, identifiers
from services.gateway.emails.attachments import About, File
from shared.events import email
from shared.runtime.content import ContentStore, ContentUnavailable

logger = structlog.get_logger(__name__)


class Uploads:
    """What one request has put into the content store."""

    def __init__(self, content: ContentStore, workspace: str) -> None:
        self._content = content
        self._workspace = workspace
        self._keys: list[str] = []

    async def store(self, about: About, chunks: AsyncIterator[bytes]) -> email.Attachment:
        """Store a file while it comes. Raises: ApiError 503, and what `chunks` raises."""
        attachment_id = identifiers.fresh()
        key = f"{self._workspace}/{datetime.now(UTC):%Y-%m-%d}/{attachment_id}"
        try:
            stored = await self._content.put_stream(key, chunks)
        except ContentUnavailable as error:
            raise _not_stored(key, error) from error
        self._keys.append(key)
        return email.Attachment(
            id=attachment_id,
            filename=about.filename,
            content_type=about.content_type,
            size=stored.size,
            sha256=stored.sha256,
            key=key,
            content_id=about.content_id,
            disposition=about.disposition,
        )

    async def drop(self) -> None:
        """Take everything out again, also when the request is being cancelled."""
        keys, self._keys = self._keys, []
        if keys:
            await asyncio.shield(_delete(self._content, keys))


async def store(
    content: ContentStore, workspace: str, files: Sequence[File | email.Attachment]
) -> tuple[email.Attachment, ...]:
    """Store the files and return what refers to them; those that were stored while they came stay as they are.

    Raises: ApiError 503; nothing is left then.
    """
    uploads = Uploads(content, workspace)
    try:
        return tuple(
            [file if isinstance(file, email.Attachment) else await uploads.store(file.about, _once(file.data))
             for file in files]
        )  # fmt: skip
    except BaseException:
        await uploads.drop()
        raise


async def drop(content: ContentStore, attachments: Sequence[email.Attachment]) -> None:
    """Take files out again that no record refers to; what cannot be deleted now is swept later."""
    if attachments:
        await asyncio.shield(_delete(content, list({one.key for one in attachments})))


async def _delete(content: ContentStore, keys: Sequence[str]) -> None:
    for key in keys:
        with suppress(ContentUnavailable):
            await content.delete(key)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


def _not_stored(key: str, error: ContentUnavailable) -> errors.ApiError:
    logger.error("content_not_stored", key=key, error=str(error))
    return errors.unavailable("the email's content could not be stored; nothing was sent")
