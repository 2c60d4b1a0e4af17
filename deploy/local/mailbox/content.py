"""What a message says, read leniently: a development mailbox shows whatever it was sent.

The standard parser raises on some malformed input; here that costs the field in question, never the message.
"""

import email
import email.header
import email.message
import re
from typing import Any

import msgspec

_SUBJECT = re.compile(rb"^subject:[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.IGNORECASE | re.MULTILINE)
_LONGEST_HEAD = 64 * 1024


class Attachment(msgspec.Struct):
    """A part that is not shown as text."""

    filename: str | None
    content_type: str
    size: int


class Content(msgspec.Struct):
    """A message opened: its header fields in order, its text, its HTML, and what else it carries."""

    headers: list[tuple[str, str]]
    text: str | None = None
    html: str | None = None
    attachments: list[Attachment] = []


def subject_of(raw: bytes) -> str:
    """Return the decoded Subject, empty if there is none."""
    end = raw.find(b"\r\n\r\n", 0, _LONGEST_HEAD)
    found = _SUBJECT.search(raw, 0, end if end >= 0 else _LONGEST_HEAD)
    if found is None:
        return ""
    unfolded = re.sub(rb"\r?\n[ \t]", b" ", found[1])
    return decoded(unfolded.decode("utf-8", "replace"))


def decoded(field: str) -> str:
    """Decode the encoded words (RFC 2047) of a header field; what cannot be decoded stays as it is."""
    if "=?" not in field:
        return field
    try:
        return str(email.header.make_header(email.header.decode_header(field)))
    except (LookupError, ValueError, email.errors.MessageError):
        return field


def opened(raw: bytes) -> Content:
    """Open a message."""
    message = email.message_from_bytes(raw)
    content = Content([(name, decoded(_plain(value))) for name, value in message.raw_items()], attachments=[])
    for part in message.walk():
        if not part.is_multipart():
            _add(content, part)
    return content


def _add(content: Content, part: "email.message.Message[Any, Any]") -> None:
    payload = part.get_payload(decode=True)
    body = payload if isinstance(payload, bytes) else b""
    kind, attached = part.get_content_type(), part.get_content_disposition() == "attachment"
    if kind == "text/plain" and not attached and content.text is None:
        content.text = _decode(body, part)
    elif kind == "text/html" and not attached and content.html is None:
        content.html = _decode(body, part)
    else:
        content.attachments.append(Attachment(_filename(part), kind, len(body)))


def _decode(body: bytes, part: "email.message.Message[Any, Any]") -> str:
    try:
        return body.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _filename(part: "email.message.Message[Any, Any]") -> str | None:
    try:
        name = part.get_filename()
    except (LookupError, ValueError):
        return None
    return None if name is None else decoded(_plain(name))


def _plain(value: object) -> str:
    """Return a field as JSON can carry it: raw 8-bit bytes come out of the parser as lone surrogates."""
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
