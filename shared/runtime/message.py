"""An accepted email as the bytes of its message: in memory where it has no files, else streamed from the content
store with flat memory, each file held against its size and digest on the way.

Equal at every opening, and its size is exact before a byte of any file is read. A message whose file is missing
or damaged never comes to its last piece: whoever sends it can still take it back.
"""

import asyncio
import hashlib
import zlib
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from datetime import datetime
from typing import Final, Protocol, TypeVar

import msgspec

from shared.events import email as email_
from shared.mail import composing, enclosing, list_unsubscribe, mime, read_receipt
from shared.mail.dkim import BodyHash
from shared.mail.enclosing import File
from shared.runtime import instrumenting
from shared.runtime.content import ContentMissing, ContentStore, ContentUnavailable

T = TypeVar("T")
STEP: Final = mime.BASE64_BYTES * 1024
STORE_WITHIN: Final = 60.0


class ContentLost(Exception):
    """The email's content is gone or damaged: no attempt will ever send it."""


class Signer(Protocol):
    """What DKIM asks of a message, and what it gives back: fields to stand above the header."""

    def fields(self, header_block: bytes, body_hash: bytes, at: datetime) -> list[bytes]:
        """Return the fields, each with its CRLF."""

    def size(self, header_block: bytes, at: datetime) -> int:
        """Return how long they will be together."""


class Message:
    """The bytes of one message. `whole` is all of it, or None where it has to be streamed; `size` is exact.

    `smtputf8` says that an address in its header needs SMTPUTF8.
    """

    def __init__(self, whole: bytes, *, smtputf8: bool = False) -> None:
        self.whole: bytes | None = whole
        self.size = len(whole)
        self.smtputf8 = smtputf8
        self.needs_8bit = not whole.isascii()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the message, not dot-stuffed. Raises: ContentLost before the last piece, ContentUnavailable."""
        assert self.whole is not None
        yield self.whole


class _Streamed(Message):
    """A message with files. With a signer they are read twice, for the signature stands above what it signs."""

    def __init__(
        self, letter: composing.Letter, store: ContentStore, signer: Signer | None, *, smtputf8: bool
    ) -> None:
        layout = composing.lay_out(letter)
        first = layout[0]
        assert isinstance(first, bytes)
        super().__init__(first, smtputf8=smtputf8)
        self.whole = None
        self.size = enclosing.size(layout)
        self._layout, self._store = layout, store
        self._signer, self._at = signer, letter.date
        self._header = _header(first)
        if signer is not None:
            self.size += signer.size(self._header, self._at)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        if self._signer is not None:
            fields = self._signer.fields(self._header, await self._body_hash(), self._at)
            yield b"".join(fields)
        async with aclosing(self._unsigned()) as pieces:
            async for piece in pieces:
                yield piece

    async def _body_hash(self) -> bytes:
        body, skip = BodyHash(), len(self._header) + len(b"\r\n")
        async with aclosing(self._unsigned()) as pieces:
            async for piece in pieces:
                body.update(piece[skip:])
                skip = 0
        return body.digest()

    async def _unsigned(self) -> AsyncGenerator[bytes, None]:
        for part in self._layout:
            if isinstance(part, bytes):
                yield part
                continue
            async with aclosing(_encoded(part, self._store)) as pieces:
                async for piece in pieces:
                    yield piece


def open_message(
    email: email_.Email,
    content: email_.Content,
    store: ContentStore,
    origin: instrumenting.Origin,
    *,
    signer: Signer | None = None,
) -> Message:
    """Return the message of an accepted email, tracked as it asks for. Nothing of its files is read yet.

    Raises: composing.ComposeError.
    """
    letter = _letter(email, content, origin)
    smtputf8 = composing.needs_smtputf8(letter)
    if letter.files:
        return _Streamed(letter, store, signer, smtputf8=smtputf8)
    whole = composing.compose(letter)
    if signer is not None:
        header, body = _header(whole), BodyHash()
        body.update(whole[len(header) + 2 :])
        whole = b"".join(signer.fields(header, body.digest(), letter.date)) + whole
    return Message(whole, smtputf8=smtputf8)


async def content_of(email: email_.Email, store: ContentStore) -> email_.Content:
    """Return the bodies, wherever they travel. Raises: ContentLost, ContentUnavailable."""
    body = email.body
    if body is None:
        return email_.Content()
    if body.content is not None:
        return body.content
    try:
        packed = body.packed if body.packed is not None else await _within(store.get(body.key or ""))
        return email_.unpack(packed)
    except (ContentMissing, zlib.error, msgspec.DecodeError) as error:
        raise ContentLost(repr(error)) from error


async def check_files(email: email_.Email, store: ContentStore) -> None:
    """See that every file is there and as long as it was, without reading it.

    Raises: ContentLost, ContentUnavailable.
    """
    for file in email.attachments:
        try:
            size = await _within(store.size(file.key))
        except ContentMissing:
            raise ContentLost(f"{file.key} is missing") from None
        if size != file.size:
            raise ContentLost(f"{file.key} has {size} bytes, it had {file.size}")


async def _encoded(file: File, store: ContentStore) -> AsyncGenerator[bytes, None]:
    """Yield a file in base64, a bounded step at a time; a step is lines of the whole's."""
    digest, size, rest = hashlib.sha256(), 0, b""
    async with aclosing(_read(file, store)) as chunks:
        async for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if size > file.size:
                raise ContentLost(f"{file.key} is longer than the {file.size} bytes it had")
            data = rest + chunk if rest else chunk
            whole = len(data) - len(data) % mime.BASE64_BYTES
            for start in range(0, whole, STEP):
                yield mime.base64_lines(data[start : min(start + STEP, whole)])
                await asyncio.sleep(
                    0
                )  # a next hop that takes all at once must not keep small messages waiting
            rest = data[whole:]
    if size != file.size or digest.hexdigest() != file.sha256:
        raise ContentLost(f"{file.key} is damaged: {size} of {file.size} bytes, or others than there were")
    if rest:
        yield mime.base64_lines(rest)


async def _read(file: File, store: ContentStore) -> AsyncGenerator[bytes, None]:
    chunks = store.stream(file.key)
    try:
        while True:
            chunk = await _within(anext(chunks, None))
            if chunk is None:
                return
            yield chunk
    except ContentMissing:
        raise ContentLost(f"{file.key} is missing") from None
    finally:
        await chunks.aclose()


async def _within(asked: Awaitable[T]) -> T:
    """Return what the store answers, as long as it does. Raises: ContentUnavailable."""
    try:
        async with asyncio.timeout(STORE_WITHIN):
            return await asked
    except TimeoutError:
        raise ContentUnavailable(f"content store: nothing came within {STORE_WITHIN:g} s") from None


def _letter(email: email_.Email, content: email_.Content, origin: instrumenting.Origin) -> composing.Letter:
    html = content.html
    if html is not None:
        html = instrumenting.instrumented(html, email, origin)
    receipts = email.tracker.return_path if email.tracker and email.tracking.read else None
    return composing.Letter(
        message_id=email.message_id,
        date=email.date,
        from_address=email.from_.address,
        from_name=email.from_.name,
        to=email.to,
        cc=email.cc,
        reply_to=email.reply_to,
        subject=email.subject,
        html=html,
        text=content.text,
        headers=email.headers,
        boundary=email.boundary,
        extra=(
            *list_unsubscribe.fields(email.unsubscribe_url, email.unsubscribe_address),
            *read_receipt.fields(receipts),
        ),
        files=[_file(attachment) for attachment in email.attachments] if email.attachments else (),
    )


def _file(attachment: email_.Attachment) -> File:
    return File(
        filename=attachment.filename,
        content_type=attachment.content_type,
        size=attachment.size,
        sha256=attachment.sha256,
        key=attachment.key,
        content_id=attachment.content_id,
        inline=attachment.disposition == "inline",
    )


def _header(message: bytes) -> bytes:
    """Return the header with a CRLF behind each field, without the empty line."""
    return message[: message.index(b"\r\n\r\n") + 2]
