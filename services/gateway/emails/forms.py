"""A form read into what a JSON body would be: its text parts a send object, its file parts stored while they come.

The parts may come in any order. A file that would be refused is not stored but passed over, so that every
problem is told; what is over a limit ends the reading at once.
"""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from aiohttp import web

from services.gateway import json_body, multipart, multipart_head, reading
from services.gateway.emails import attachments, fields
from services.gateway.emails.attaching import Uploads
from services.gateway.errors import PAYLOAD_TOO_LARGE, ApiError, Problem
from services.gateway.multipart_head import Head
from shared.events import email

MAX_FILE: Final = 50 * 1024 * 1024
MAX_TEXT: Final = 1024 * 1024
MAX_FORM: Final = attachments.MAX_FILES * MAX_FILE + MAX_TEXT + multipart.MAX_PARTS * multipart.MAX_HEAD
LISTS: Final = frozenset({"to", "cc", "bcc", "reply_to", "tags"})
AS_JSON: Final = frozenset(
    {"headers", "variables", "tracking", "metadata", "unsubscribe", "template_version"}
)
_TEXT: Final = re.compile(
    r'(?:text/[a-z0-9.+-]+|application/json) *(?:; *charset="?(?:utf-8|us-ascii)"? *)?', re.IGNORECASE
)


_File = Annotated[str, msgspec.Meta(extra_json_schema={"contentMediaType": "application/octet-stream"})]
SendForm: Final = msgspec.defstruct(
    "SendForm",
    [
        *[
            (one.name, one.type, None)
            for one in msgspec.structs.fields(fields.Send)
            if one.name != "attachments"
        ],
        ("file", list[_File] | None, None),
    ],
    namespace={"__doc__": "One email to send, as the parts of a form; any part with a filename is a file."},
    rename={"from_": "from"},
)


class Form(NamedTuple):
    """What a form says: the send object without attachments, the files, and what is wrong so far."""

    value: dict[str, Any]
    files: tuple[email.Attachment, ...]
    problems: list[Problem]

    def identity(self) -> Any:
        """Return what makes a repeat the same request: the fields, and the files by their bytes."""
        files = [
            (file.filename, file.content_type, file.content_id, file.disposition, file.size, file.sha256)
            for file in self.files
        ]
        return {"fields": self.value, "files": files}


async def read(incoming: web.BaseRequest, uploads: Uploads) -> Form:
    """Read a form to its end. Raises: ApiError 400, 408, 413, 415, 503; reading.Gone."""
    boundary = multipart_head.boundary(incoming.headers.get("Content-Type", ""))
    reading.require_plain(incoming)
    parts = multipart.Reader(reading.Large(incoming, MAX_FORM), boundary)
    reader = _FormReader(parts, uploads)
    while (head := await parts.next()) is not None:
        await reader.take(head)
    return reader.form()


class _FormReader:
    def __init__(self, parts: multipart.Reader, uploads: Uploads) -> None:
        self._parts = parts
        self._uploads = uploads
        self._texts: dict[str, list[str]] = {}
        self._text_bytes = 0
        self._described: list[attachments.About] = []
        self._files: list[email.Attachment] = []
        self._problems: list[Problem] = []

    async def take(self, head: Head) -> None:
        """Read one part to its end."""
        async with aclosing(self._parts.body()) as body:
            if head.filename is not None:
                await self._file(head, body)
            elif head.content_type is not None and not _TEXT.fullmatch(head.content_type):
                self._say(fields.member("$", head.name), "is not text in UTF-8; a file needs a filename")
                await _pass_over(body)
            else:
                await self._text(head.name, body)

    def form(self) -> Form:
        """Return what all parts say together."""
        value = {name: self._value(name, texts) for name, texts in self._texts.items()}
        self._problems += attachments.repeated(self._described, "$.attachments")
        return Form(value, tuple(self._files), self._problems)

    async def _file(self, head: Head, body: AsyncIterator[bytes]) -> None:
        if not head.filename and not await _has_bytes(body):
            return  # a browser's file field in which nothing was chosen
        number = len(self._described)
        if number == attachments.MAX_FILES:
            raise attachments.too_many("$.attachments")
        path = f"$.attachments[{number}]"
        about = attachments.describe(
            head.filename or "", head.content_type, head.content_id, None, path, self._problems
        )
        self._described.append(about)
        counted = _counted(body, f"{path}.content")
        if self._problems:
            await _pass_over(counted)
        else:
            self._files.append(await self._uploads.store(about, counted))

    async def _text(self, name: str, body: AsyncIterator[bytes]) -> None:
        data = b""
        self._text_bytes += len(name)
        async for piece in body:
            self._text_bytes += len(piece)
            if self._text_bytes > MAX_TEXT:
                raise ApiError(PAYLOAD_TOO_LARGE, f"the fields of a form may have at most {MAX_TEXT} bytes")
            data += piece
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return self._say(fields.member("$", name), "is not valid UTF-8")
        if "\0" in text or "\0" in name:
            return self._say(fields.member("$", name), "contains the character NUL")
        self._texts.setdefault(name, []).append(text)
        return None

    def _value(self, name: str, texts: list[str]) -> Any:
        """Return a field as JSON would have it; a single address stays a string."""
        path = fields.member("$", name)
        if name == "attachments":
            self._say(path, "is not a field of a form: send each file as a part of its own")
        elif name in LISTS:
            return self._list(path, texts)
        elif len(texts) > 1:
            self._say(path, "may be given once only")
        elif name in AS_JSON:
            return self._json(path, texts[0])
        else:
            return texts[0]
        return None

    def _list(self, path: str, texts: list[str]) -> Any:
        values = [self._json(path, text) if text.lstrip().startswith("[") else text for text in texts]
        if len(values) == 1 and path != "$.tags":
            return values[0]
        flat: list[Any] = []
        for value in values:
            flat += value if isinstance(value, list) else [value]
        return flat

    def _json(self, path: str, text: str) -> Any:
        try:
            return json_body.parse(text.encode())
        except ApiError as error:
            for problem in error.details:
                self._say(path + problem.path.removeprefix("$"), problem.message)
            return None

    def _say(self, path: str, message: str) -> None:
        self._problems.append(Problem(path, message))


async def _counted(body: AsyncIterator[bytes], path: str) -> AsyncIterator[bytes]:
    size = 0
    async for piece in body:
        size += len(piece)
        if size > MAX_FILE:
            what = f"the file is larger than {MAX_FILE} bytes"
            raise ApiError(PAYLOAD_TOO_LARGE, what, [Problem(path, what)])
        yield piece


async def _pass_over(body: AsyncIterator[bytes]) -> None:
    async for _ in body:
        pass


async def _has_bytes(body: AsyncIterator[bytes]) -> bool:
    async for _ in body:
        return True
    return False
