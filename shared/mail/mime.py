"""Owns the bodies of a message: line ends, transfer encodings, multipart/alternative (RFC 2045, RFC 2046).

Everything is 7bit on the wire, every line ends in CRLF and none is longer than 998 octets, so no server needs an
extension to take it and none can be tricked about where a message ends.
"""

import hashlib
import struct
from binascii import b2a_base64, b2a_qp
from typing import Final

_MAX_LINE: Final = 998
_BASE64_LINE: Final = 76
BASE64_BYTES: Final = 57  # what one line of base64 holds
# What a 7bit body may hold: printable ASCII, TAB and our own line ends.
_PLAIN: Final = bytes([9, 10, 13, *range(32, 127)])
# RFC 2046 5.1.1, without the space.
_IN_BOUNDARY: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'()+_,-./:=?"

_SEVEN_BIT: Final = b"7bit\r\n\r\n"
_QUOTED_PRINTABLE: Final = b"quoted-printable\r\n\r\n"
_BASE64: Final = b"base64\r\n\r\n"
TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
HTML: Final = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
# Taken apart by one call instead of one slice a line: a third less time for a large file.
_LINES: Final = 1024
_CUT: Final = struct.Struct(f"{_BASE64_LINE}s" * _LINES)


def entity(text: str | None, html: str | None, boundary: str) -> bytes:
    """Return the content headers, the empty line and the body; ends with CRLF.

    Raises: ValueError if `boundary` is none (RFC 2046 5.1.1).
    """
    if html is None:
        return _ended(TEXT + encoded(text or ""))
    if text is None:
        return _ended(HTML + encoded(html))
    return _alternative(encoded(text), encoded(html), boundary)


def encoded(text: str) -> bytes:
    """Return the value of Content-Transfer-Encoding, the empty line and the body in it.

    7bit where that is safe, else quoted-printable or base64, whichever is shorter.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    raw = text.replace("\n", "\r\n").encode("utf-8", "replace")
    awkward = len(raw.translate(None, _PLAIN))
    if not awkward and _is_safe_as_it_is(raw):
        return _SEVEN_BIT + raw
    length = (len(raw) + 2) // 3 * 4
    length += (length - 1) // _BASE64_LINE * 2
    # Counting first: two thirds of a 1 MB text in Greek need not be quoted to learn that base64 is shorter.
    if len(raw) + 2 * awkward <= length:
        quoted = _quoted_printable(raw)
        if len(quoted) <= length:
            return _QUOTED_PRINTABLE + quoted
    return _BASE64 + _base64(raw)


def base64_size(size: int) -> int:
    """Return how many bytes a file of `size` bytes has in base64, every line ended by CRLF."""
    characters = (size + 2) // 3 * 4
    return characters + (characters + _BASE64_LINE - 1) // _BASE64_LINE * 2


def base64_lines(raw: bytes) -> bytes:
    """Return a file, or a piece of it, in base64; every line ends in CRLF.

    Pieces are the whole's lines where each but the last is a multiple of BASE64_BYTES long.
    """
    characters = b2a_base64(raw, newline=False)
    whole = len(characters) // _CUT.size * _CUT.size
    lines = [line for block in _CUT.iter_unpack(memoryview(characters)[:whole]) for line in block]
    lines += [characters[at : at + _BASE64_LINE] for at in range(whole, len(characters), _BASE64_LINE)]
    lines.append(b"")
    return b"\r\n".join(lines)


def _alternative(text: bytes, html: bytes, boundary: str) -> bytes:
    mark = unused(boundary, text, html)
    return b"".join(
        (
            b'Content-Type: multipart/alternative;\r\n boundary="',
            mark,
            b'"\r\n\r\n--',
            mark,
            b"\r\n",
            TEXT,
            text,
            b"\r\n--",
            mark,
            b"\r\n",
            HTML,
            html,
            b"\r\n--",
            mark,
            b"--\r\n",
        )
    )


def unused(boundary: str, *bodies: bytes) -> bytes:
    """Return the boundary, or a variation of it made from the bodies alone if one of them contains it."""
    mark = boundary.encode("utf-8", "replace")
    if not 0 < len(mark) <= 70 or mark.translate(None, _IN_BOUNDARY):
        raise ValueError(f"not a MIME boundary: {boundary!r}")
    needle = b"--" + mark
    while any(needle in body for body in bodies):
        digest = hashlib.sha256(mark + b"".join(bodies)).hexdigest()
        mark = f"{boundary[:32]}_{digest[:32]}".encode()
        needle = b"--" + mark
    return mark


def _is_safe_as_it_is(raw: bytes) -> bool:
    if len(raw) > _MAX_LINE and max(map(len, raw.split(b"\r\n"))) > _MAX_LINE:
        return False
    # "From " at the start of a line is rewritten by whoever keeps mbox files.
    return b"From " not in raw or not (raw.startswith(b"From ") or b"\nFrom " in raw)


def _quoted_printable(raw: bytes) -> bytes:
    quoted = b2a_qp(raw, quotetabs=False, istext=True)
    if b"\r\n" not in raw:
        # Without a line end to learn from, the C function breaks its lines with LF.
        quoted = quoted.replace(b"\n", b"\r\n")
    if b"From " not in quoted:
        return quoted
    quoted = b"\n" + quoted
    while b"\nFrom " in quoted:
        # With a soft break behind it, for the line may be full.
        quoted = quoted.replace(b"\nFrom ", b"\n=46rom =\r\n")
    return quoted[1:]


def _base64(raw: bytes) -> bytes:
    line = b2a_base64(raw, newline=False)
    return b"\r\n".join([line[start : start + _BASE64_LINE] for start in range(0, len(line), _BASE64_LINE)])


def _ended(message: bytes) -> bytes:
    return message if message.endswith(b"\r\n") else message + b"\r\n"
