"""The SMTP envelope and its commands: addresses, parameters and the message made ready for DATA.

A parameter is only spoken where the server offered its extension. Bytes of a message never end the
transaction early: bare CR and LF become line ends and every leading dot is doubled, or a body could
carry a second message with an envelope of its own (SMTP smuggling).
"""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import idna
import msgspec
from aiosmtplib.esmtp import parse_esmtp_extensions

from services.dispatcher.outcome import Kind
from shared.runtime.message import Message

CHUNK = 64 * 1024

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f<>\u2028\u2029\ud800-\udfff]")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*")
_BARE = re.compile(rb"\r\n|\r|\n")
_XTEXT = re.compile(r"[^!-*,-<>-~]")
_XTEXT_UTF8 = re.compile(r"[\x00-\x20+=\\\x7f]")


class Refused(Exception):
    """This envelope cannot be spoken to this server; nothing was sent. Not a temporary state."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


class Extensions(msgspec.Struct, frozen=True, kw_only=True):
    """What the server offered in its EHLO reply. `size` is its limit in bytes, None where it has none."""

    pipelining: bool = False
    eightbit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    starttls: bool = False
    size_offered: bool = False
    size: int | None = None
    auth: tuple[str, ...] = ()

    @classmethod
    def parse(cls, ehlo: str) -> "Extensions":
        """Read an EHLO reply's text, greeting line included (RFC 5321, 4.1.1.1)."""
        offered, auth = parse_esmtp_extensions(ehlo)
        limit = offered.get("size", "").strip()
        return cls(
            pipelining="pipelining" in offered,
            eightbit="8bitmime" in offered,
            smtputf8="smtputf8" in offered,
            dsn="dsn" in offered,
            starttls="starttls" in offered,
            size_offered="size" in offered,
            size=int(limit) if limit.isascii() and limit.isdigit() and int(limit) > 0 else None,
            auth=tuple(auth),
        )


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One message and who it goes to. `notify` is the value of NOTIFY (RFC 3461), for every recipient.

    The message says whether its header needs SMTPUTF8; non-ASCII local parts of the envelope are found here.
    """

    mail_from: str
    recipients: list[str]
    message: Message
    envid: str | None = None
    notify: str | None = None


def commands(envelope: Envelope, offered: Extensions) -> list[str]:
    """Return MAIL and every RCPT with the parameters this server understands.

    A message with 8-bit bytes goes to a server without 8BITMIME as it is: all of them pass it on.

    Raises: Refused when the envelope cannot be spoken here.
    """
    if not envelope.recipients:
        raise ValueError("an envelope without recipients")
    sender, recipients, utf8 = envelope.mail_from, envelope.recipients, envelope.message.smtputf8
    every = sender + "".join(recipients)
    if not _safe(every):
        raise Refused("invalid_address", "an address holds characters that no SMTP command may carry")
    if offered.size is not None and envelope.message.size > offered.size:
        raise Refused(
            "message_too_large",
            f"the message has {envelope.message.size} bytes, the server takes {offered.size}",
        )
    if not every.isascii():
        sender, *recipients = [_wire_form(a) for a in (sender, *recipients)]
        utf8 = utf8 or not all(map(str.isascii, (sender, *recipients)))
    if utf8 and not offered.smtputf8:
        raise Refused("smtputf8_unsupported", "an address needs SMTPUTF8, which the server does not offer")
    mail = f"MAIL FROM:<{sender}>{_mail_parameters(envelope, offered, utf8)}"
    if not offered.dsn or (envelope.notify is None and envelope.envid is None):
        return [mail, *[f"RCPT TO:<{address}>" for address in recipients]]
    notify = _notify(envelope.notify)
    return [mail, *[f"RCPT TO:<{address}>{notify} ORCPT={_orcpt(address, utf8)}" for address in recipients]]


def _safe(text: str) -> bool:
    if text.isascii():
        return text.isprintable() and "<" not in text and ">" not in text
    return not _UNSAFE.search(text)


def _mail_parameters(envelope: Envelope, offered: Extensions, utf8: bool) -> str:
    parameters = ""
    if offered.size_offered:
        parameters += f" SIZE={envelope.message.size}"
    if offered.eightbit and envelope.message.needs_8bit:
        parameters += " BODY=8BITMIME"
    if utf8:
        parameters += " SMTPUTF8"
    if offered.dsn and envelope.envid is not None:
        parameters += f" RET=HDRS ENVID={xtext(envelope.envid)}"
    elif offered.dsn and envelope.notify is not None:
        parameters += " RET=HDRS"
    return parameters


def _notify(value: str | None) -> str:
    if value is None:
        return ""
    if not _NOTIFY.fullmatch(value):
        raise ValueError(f"{value!r} is no value of NOTIFY")
    return f" NOTIFY={value}"


def _orcpt(address: str, utf8: bool) -> str:
    """Return the address type and address: rfc822 by RFC 3461, utf-8 by RFC 6533, 3."""
    if address.isascii() or not utf8:
        return f"rfc822;{xtext(address)}"
    return "utf-8;" + _XTEXT_UTF8.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def xtext(text: str) -> str:
    """Encode by RFC 3461, 4: everything but printable ASCII, and `+` and `=`, as +XX."""
    if text.isascii() and text.isprintable() and not ("+" in text or "=" in text or " " in text):
        return text
    return "".join(f"+{byte:02X}" if _XTEXT.match(chr(byte)) else chr(byte) for byte in text.encode())


def _wire_form(address: str) -> str:
    """Return the address with its domain in A-labels: only the local part can need SMTPUTF8."""
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    if not at or domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


def stuffed(message: bytes) -> bytes:
    """Return the message with CRLF line ends and doubled leading dots, ended by CRLF (RFC 5321, 4.5.2)."""
    lines = message.count(b"\r\n")
    if lines != message.count(b"\n") or lines != message.count(b"\r"):
        message = _BARE.sub(b"\r\n", message)
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    if b"\r\n." in message:
        message = message.replace(b"\r\n.", b"\r\n..")
    return b"." + message if message.startswith(b".") else message


class Stuffing:
    """Does to a message that comes in pieces what `stuffed` does to a whole one, wherever it is cut."""

    def __init__(self) -> None:
        self._empty, self._line_ended = True, False
        self._held = b""  # a CR at the end: half of a line end, or a bare one

    def add(self, piece: bytes) -> bytes:
        """Return what is to be written for the next piece."""
        data = self._held + piece if self._held else piece
        self._held = b"\r" if data.endswith(b"\r") else b""
        data = data[:-1] if self._held else data
        return self._stuffed(data) if data else b""

    def end(self) -> bytes:
        """Return what is to be written when there is nothing more, so that a lone dot may follow."""
        return b"" if self._line_ended and not self._held else b"\r\n"

    def _stuffed(self, data: bytes) -> bytes:
        lines = data.count(b"\r\n")
        if lines != data.count(b"\n") or lines != data.count(b"\r"):
            data = _BARE.sub(b"\r\n", data)
        if b"\r\n." in data:
            data = data.replace(b"\r\n.", b"\r\n..")
        if data.startswith(b".") and (self._line_ended or self._empty):
            data = b"." + data
        self._empty, self._line_ended = False, data.endswith(b"\r\n")
        return data


def pieces(message: bytes) -> Iterator[bytes]:
    """Yield the stuffed message in pieces of about 64 KB, so that a large one is never held twice."""
    stuffing = Stuffing()
    for start in range(0, len(message), CHUNK):
        yield stuffing.add(message[start : start + CHUNK])
    if rest := stuffing.end():
        yield rest


async def streamed(message: Message) -> AsyncGenerator[bytes, None]:
    """Yield the stuffed message in the pieces it comes in. Raises: ContentLost, ContentUnavailable."""
    if message.whole is not None:
        for piece in pieces(message.whole):
            yield piece
        return
    stuffing = Stuffing()
    async with aclosing(message.pieces()) as source:
        async for piece in source:
            yield stuffing.add(piece)
    if rest := stuffing.end():
        yield rest
