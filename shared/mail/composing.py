"""Owns the bytes of a message, made from a letter alone: equal letters give equal bytes on every attempt.

What a client wrote stays inside its field or body, Bcc is never written, and the result needs no extension of
the server but SMTPUTF8, and that only where an address has a non-ASCII local part.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from shared.mail import address, enclosing, header, mime, rfc2047
from shared.mail.address import Mailbox

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NAME: Final = re.compile(r"[!-9;-~]{1,76}")
# RFC 5322 3.2.3: words of a display name that need no quotes.
_PHRASE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MAX_QUOTED: Final = 60
_LONGEST_LABEL: Final = len("Reply-To: ")
_NOT_IN_ADDRESS: Final = re.compile(r'[\s<>()",;:\\\[\]]')


class ComposeError(ValueError):
    """A letter that cannot be a message; accepting it was a fault of ours, and sending it would be a second one."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that makes the bytes of one message, fixed when the email was accepted."""

    message_id: str
    date: datetime
    from_address: str
    from_name: str = ""
    to: Sequence[Mailbox]
    cc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    subject: str
    html: str | None = None
    text: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    boundary: str
    extra: Sequence[tuple[str, str]] = ()
    """Our own headers, such as X-Sendlog-Id; written behind the client's."""
    files: Sequence[enclosing.File] = ()


def compose(letter: Letter) -> bytes:
    """Return a message without files, with CRLF line ends, not dot-stuffed.

    Raises: ComposeError for an address or a header name that would break the header.
    """
    if letter.files:
        raise ComposeError("a letter with files is laid out, for their bytes are not here")
    return _fields(letter).encode() + _entity(letter)


def lay_out(letter: Letter) -> enclosing.Layout:
    """Return a message with the places where its files belong; the first piece holds the whole header.

    Raises: ComposeError, as `compose`.
    """
    if not letter.files:
        return [compose(letter)]
    try:
        first, *others = enclosing.layout(letter.text, letter.html, letter.files, letter.boundary)
    except ValueError as error:
        raise ComposeError(str(error)) from error
    assert isinstance(first, bytes)
    return [_fields(letter).encode() + first, *others]


def _fields(letter: Letter) -> str:
    """Return every header field but those of the content, each ended by CRLF."""
    fields = [
        f"Date: {_date(letter.date)}",
        f"From: {_shown(letter.from_address, letter.from_name)}",
    ]
    if letter.to:
        fields.append(_addressees("To", letter.to))
    if letter.cc:
        fields.append(_addressees("Cc", letter.cc))
    if letter.reply_to:
        fields.append(_addressees("Reply-To", letter.reply_to))
    fields.append(f"Message-ID: {_message_id(letter.message_id)}")
    fields.append(rfc2047.field("Subject", letter.subject))
    fields.append("MIME-Version: 1.0\r\nAuto-Submitted: auto-generated")
    for name, value in letter.headers:
        fields.append(_custom(name, value))
    for name, value in letter.extra:
        fields.append(_custom(name, value))
    fields.append("")
    return "\r\n".join(fields)


def needs_smtputf8(letter: Letter) -> bool:
    """Tell whether an address in the header has a non-ASCII local part (RFC 6531); the envelope asks for itself."""
    if address.needs_smtputf8(letter.from_address):
        return True
    return any(
        address.needs_smtputf8(mailbox.address)
        for mailboxes in (letter.to, letter.cc, letter.reply_to)
        for mailbox in mailboxes
    )


def _entity(letter: Letter) -> bytes:
    try:
        return mime.entity(letter.text, letter.html, letter.boundary)
    except ValueError as error:
        raise ComposeError(str(error)) from error


def _date(moment: datetime) -> str:
    """Format by RFC 5322 3.3; strftime would ask the locale for the names."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} +0000"
    )


def _message_id(value: str) -> str:
    if not (value.isascii() and value.isprintable()) or " " in value or not value:
        raise ComposeError(f"not a Message-ID: {value!r}")
    return value


def _custom(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or name.lower() == "bcc":
        raise ComposeError(f"not a header that may be written: {name!r}")
    return rfc2047.field(name, value)


def _addressees(label: str, mailboxes: Sequence[Mailbox]) -> str:
    shown = [_shown(mailbox.address, mailbox.name) for mailbox in mailboxes]
    line = f"{label}: {', '.join(shown)}"
    return line if len(line) <= rfc2047.MAX_ENCODED_LINE else _folded(label, shown)


def _folded(label: str, shown: list[str]) -> str:
    parts = [f"{label}: {shown[0]}"]
    column = _last_line(parts[0])
    for mailbox in shown[1:]:
        if column + 2 + len(mailbox.partition("\r")[0]) + 1 > rfc2047.MAX_ENCODED_LINE:
            parts.append(f",\r\n {mailbox}")
            column = 1
        else:
            parts.append(f", {mailbox}")
            column += 2
        column = _last_line(mailbox) + (0 if "\n" in mailbox else column)
    return "".join(parts)


def _last_line(text: str) -> int:
    return len(text) - text.rfind("\n") - 1


@lru_cache(maxsize=4096)
def _shown(mailbox: str, name: str) -> str:
    """Return a mailbox as a header shows it; the same wherever it stands in the list."""
    spec = _spec(mailbox)
    if not name or name.isspace():
        return spec
    words = _words(name)
    column = _LONGEST_LABEL if "\n" not in words else 0
    fold = "" if column + _last_line(words) + len(spec) + len(" <>,") <= rfc2047.MAX_ENCODED_LINE else "\r\n"
    return f"{words}{fold} <{spec}>"


def _words(name: str) -> str:
    if len(name) <= _MAX_QUOTED and name.isascii() and "=?" not in name:
        if _PHRASE.fullmatch(name):
            return name
        if name.isprintable() and name == name.strip():
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            if len(quoted) <= _MAX_QUOTED:
                return f'"{quoted}"'
    return rfc2047.encoded(header.neutralise(name), _LONGEST_LABEL)


def _spec(mailbox: str) -> str:
    if not mailbox.isprintable() or _NOT_IN_ADDRESS.search(mailbox) or mailbox.count("@") != 1:
        raise ComposeError(f"not an address: {mailbox!r}")
    return address.to_ascii_domain(mailbox)
