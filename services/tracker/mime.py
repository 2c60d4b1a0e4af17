"""Owns the reading of a message that a stranger sent: headers, parts and texts, bounded in every way.

Nothing that arrives raises out of here and nothing costs more than its own length: what cannot be read is
left as it is, and what is too deep, too many or too long is cut. The raw message is kept elsewhere.
"""

import binascii
import quopri
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

MAX_BYTES: Final = 10 * 1024 * 1024
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 500
MAX_DEPTH: Final = 12
MAX_PARTS: Final = 200
MAX_TEXT: Final = 512 * 1024

_NAME: Final = re.compile(rb"[!-9;-~]{1,200}")
# Empty lines before the header, as some stores leave them; before anything else they end a header of no fields.
_FIRST_FIELD: Final = re.compile(rb"\A(?:[ \t]{0,300}\r?\n){1,5}(?=[A-Za-z-]{1,60}:[ \t]|From )")
_ENCODED: Final = re.compile(r"=\?([!-~]{1,60}?)\?([bBqQ])\?([ -~]{0,2000}?)\?=")
_BETWEEN: Final = re.compile(r"(\?=)[ \t\r\n]{1,200}(?==\?)")
_PARAMETER: Final = re.compile(
    r';\s{0,100}([!#-\'*+\-.0-9A-Z^-z]{1,80})\s{0,20}=\s{0,20}("(?:[^"\\]|\\.){0,2000}"|[^;\s]{0,2000})'
)
_COMMENT: Final = re.compile(r"\([^()]{0,500}\)")
_BOUNDARY_LINE: Final = re.compile(
    rb"^--([^\s-][^\s]{2,199}|-{1,40}[^\s-][^\s]{1,150})[ \t]*\r?$", re.MULTILINE
)
_MIME_PREAMBLE: Final = (
    b"This is a MIME-encapsulated message",
    b"This is a multi-part message in MIME format",
)
_NOT_BASE64: Final = bytes(
    sign for sign in range(256) if not (sign < 128 and (chr(sign).isalnum() or sign in b"+/"))
)
# Python has codecs that are for no text, or slow on hostile ones.
_CHARSET: Final = re.compile(
    r"(?:utf|us-ascii|ascii|ansi|iso|latin|l\d|windows|win|cp\d|\d{3,4}$|koi8|gb|big5|euc|shift|sjis|ms|x-sjis|x-gbk|ks|uhc|johab"
    r"|mac|tis|hz)[\w.:()-]{0,40}"
)
_CHARSET_ALIASES: Final = {"unknown-8bit": "latin-1", "x-unknown": "latin-1", "ansi_x3.110-1983": "latin-1"}
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_HIGH_RUN: Final = re.compile(rb"[\x80-\xff]{2,}")
# Charsets that 8-bit text without a declaration is likely in, and of which letters so many tenths are then to be.
_LIKELY: Final = (
    ("euc_jp", ("\u3041", "\u30ff", 3)),
    ("shift_jis", ("\u3041", "\u30ff", 3)),
    ("koi8_r", ("\u0430", "\u044f", 7)),
    ("cp1251", ("\u0430", "\u044f", 7)),
    ("gb18030", ("\u4e00", "\u9fff", 7)),
)


class Part(msgspec.Struct, frozen=True):
    """One entity of a message. `raw` is its body as it stood, `parts` what a multipart or message/* holds."""

    fields: tuple[tuple[str, str], ...]
    kind: str
    parameters: dict[str, str]
    raw: bytes
    parts: tuple["Part", ...] = ()

    def field(self, name: str) -> str:
        """Return the first field of this name (any case), unfolded and decoded; empty where there is none."""
        wanted = name.lower()
        return next((value for known, value in self.fields if known == wanted), "")

    def all(self, name: str) -> list[str]:
        """Return every field of this name, in order."""
        wanted = name.lower()
        return [value for known, value in self.fields if known == wanted]

    def walk(self) -> Iterator["Part"]:
        """Yield this part and everything below it, in order."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def body(self) -> bytes:
        """Return the body with its transfer encoding taken off, as far as that goes."""
        return _without_encoding(self.raw, self.field("content-transfer-encoding"))

    def text(self) -> str:
        """Return the body as text with LF line ends, whatever its charset says."""
        return (
            decoded(self.body()[:MAX_TEXT], self.parameters.get("charset", ""))
            .replace("\r\n", "\n")
            .replace("\r", "\n")
        )


def read(raw: bytes) -> Part:
    """Return the message as a tree of parts. Never raises."""
    raw = raw[:MAX_BYTES]
    if b"\n" not in raw:  # line ends of another age
        raw = raw.replace(b"\r", b"\n")
    raw = _FIRST_FIELD.sub(b"", raw, count=1)
    if raw.startswith((b"From ", b">From ")):  # an mbox separator that came along
        raw = raw.partition(b"\n")[2]
    return _entity(raw, 0, [MAX_PARTS], "text/plain")


def fields_of(text: str) -> tuple[tuple[str, str], ...]:
    """Return the fields of a header that stands in a text. Never raises."""
    return _fields(text.encode("utf-8", "replace")[:MAX_HEADER_BYTES])


def decoded(data: bytes, charset: str) -> str:
    """Return the text in the charset it claims; where that is not true, in the likeliest one. NUL is replaced."""
    if b"\x1b$" in data and data.isascii():  # ISO-2022-JP that nobody declared, as in many a bounce
        charset = "iso2022_jp"
    charset = charset.strip().lower()
    charset = _CHARSET_ALIASES.get(charset, charset)
    for name in (charset, "utf-8") if _CHARSET.fullmatch(charset) else ("utf-8",):
        try:
            return data.decode(name).replace("\0", "\ufffd")
        except (
            LookupError,
            ValueError,
        ):  # UnicodeError is a ValueError; some codecs are not for bytes at all
            continue
    return _guessed(data).replace("\0", "\ufffd")


def _guessed(data: bytes) -> str:
    """Return 8-bit text that says no charset: by the letters that each of the likely ones would make it of."""
    sample = data[:4000]
    high = len(_HIGH.findall(sample))
    if sum(map(len, _HIGH_RUN.findall(sample))) * 10 < high * 8:  # letters of a Latin alphabet stand alone
        return data.decode("latin-1")
    for name, letters in _LIKELY:
        try:
            text = sample.decode(name, "strict" if len(data) <= len(sample) else "ignore")
        except ValueError:
            continue
        foreign = [sign for sign in text if sign > "\x7f"]
        if sum(1 for sign in foreign if letters[0] <= sign <= letters[1]) * 10 > len(foreign) * letters[2]:
            return data.decode(name, "replace")
    return data.decode("latin-1")


def unquoted(value: str) -> str:
    """Return a header's value with its encoded words read (RFC 2047). Never raises."""
    if "=?" not in value:
        return value
    return _ENCODED.sub(_word, _BETWEEN.sub(r"\1", value))


def _word(found: re.Match[str]) -> str:
    charset, how, text = found.groups()
    data = text.encode("ascii", "replace")
    raw = _base64(data) if how in "bB" else quopri.decodestring(data.replace(b"_", b" "))
    return decoded(raw, charset.partition("*")[0])


def _entity(raw: bytes, depth: int, left: list[int], otherwise: str) -> Part:
    left[0] -= 1
    head, body = _split(raw)
    fields = _fields(head)
    content_type = next((value for name, value in fields if name == "content-type"), "")
    kind, parameters = _content_type(content_type, otherwise)
    if kind == "text/plain" and body.startswith(_MIME_PREAMBLE) and (lost := _BOUNDARY_LINE.search(body)):
        kind, parameters = "multipart/mixed", {"boundary": lost[1].decode("utf-8", "replace")}
    parts: tuple[Part, ...] = ()
    if depth < MAX_DEPTH and left[0] > 0:
        if kind.startswith("multipart/") and parameters.get("boundary"):
            usual = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            pieces = list(islice(_pieces(body, parameters["boundary"].encode("utf-8", "replace")), MAX_PARTS))
            if not pieces and (
                guessed := _BOUNDARY_LINE.search(body)
            ):  # a relay changed one and not the other
                pieces = list(islice(_pieces(body, guessed[1]), MAX_PARTS))
            parts = tuple(_entity(piece, depth + 1, left, usual) for piece in pieces if left[0] > 0)
        elif kind in ("message/rfc822", "message/global", "message/news"):
            encoding = next((value for name, value in fields if name == "content-transfer-encoding"), "")
            parts = (_entity(_without_encoding(body, encoding), depth + 1, left, "text/plain"),)
    return Part(fields, kind, parameters, body, parts)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Return header and body; a part may begin with its body at once."""
    if raw.startswith((b"\r\n", b"\n")):
        return b"", raw.partition(b"\n")[2]
    ends = [(at, at + len(mark)) for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n") if (at := raw.find(mark)) >= 0]
    if not ends:
        return raw[:MAX_HEADER_BYTES], b""
    end, start = min(ends)
    return raw[: min(end, MAX_HEADER_BYTES)], raw[start:]


def _fields(head: bytes) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, list[bytes]]] = []
    for line in head.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if found:
                found[-1][1].append(line.strip())
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip()
        if colon and _NAME.fullmatch(name) and len(found) < MAX_FIELDS:
            found.append((name.decode("ascii").lower(), [value.strip()]))
    return tuple((name, unquoted(_plain(b" ".join(lines)))) for name, lines in found)


def _plain(value: bytes) -> str:
    if value.isascii() and b"\x1b" not in value and b"\0" not in value:
        return value.decode("ascii")
    return decoded(value, "")


def _content_type(value: str, otherwise: str) -> tuple[str, dict[str, str]]:
    value = value[:8000]
    kind = _COMMENT.sub("", value.partition(";")[0]).strip().lower()
    if "/" not in kind or " " in kind:
        kind = otherwise
    parameters: dict[str, str] = {}
    for name, given in _PARAMETER.findall(value):
        plain = re.sub(r"\\(.)", r"\1", given[1:-1]) if given.startswith('"') else given
        parameters.setdefault(name.lower().partition("*")[0], plain)
    return kind, parameters


def _pieces(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield what stands between the boundary lines (RFC 2046 5.1); a missing last one is forgiven."""
    delimiter = b"--" + boundary
    start: int | None = None
    at = body.find(delimiter)
    while at >= 0:
        after = at + len(delimiter)
        if at and body[at - 1 : at] != b"\n":
            at = body.find(delimiter, after)
            continue
        end = body.find(b"\n", after)
        end = len(body) if end < 0 else end
        rest = body[after:end].rstrip(b" \t\r")
        if rest in (b"", b"--"):
            if start is not None:
                yield body[start : max(start, at - (2 if body[at - 2 : at] == b"\r\n" else 1))]
            if rest:
                return
            start = min(end + 1, len(body))
        at = body.find(delimiter, end)
    if start is not None:
        yield body[start:]


def _without_encoding(raw: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == "base64":
        return _base64(raw)
    if encoding == "quoted-printable":
        return quopri.decodestring(raw)
    return raw


def _base64(data: bytes) -> bytes:
    """Return as much as can be read: the last line of a cut message still says something."""
    clean = (data.partition(b"=")[0] if data.count(b"=") < 3 else data).translate(None, _NOT_BASE64)
    clean = clean[: len(clean) - (1 if len(clean) % 4 == 1 else 0)]
    try:
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    except binascii.Error:
        return data
