"""Owns how text becomes a header field: folded lines (RFC 5322 2.2.3) and encoded-words (RFC 2047).

A decoder gets back exactly the text that went in, and no text can end its field: what would is a space by then.
"""

import re
from binascii import b2a_base64
from typing import Final

from shared.mail import header

MAX_LINE: Final = 78
MAX_ENCODED_LINE: Final = 76  # RFC 2047 2: a line that holds an encoded-word
_MAX_WORD: Final = 75
_MIN_ROOM: Final = 40  # behind a very long header name a line gets longer rather than the field unreadable
_MAX_TOKEN: Final = 900  # RFC 5322 2.1.1: 998 with the field's name before it
_AROUND: Final = len("=?utf-8?q??=")

# RFC 2047 5 (3): what Q may leave as it is even inside a display name.
_BARE: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
_SHORT: Final = _BARE + b" "
_Q: Final = tuple(
    chr(byte) if byte in _BARE else "_" if byte == 32 else f"={byte:02X}" for byte in range(256)
)
_TOKEN: Final = re.compile(r"[ \t]*[^ \t]+")


def field(name: str, value: str) -> str:
    """Return `Name: value` without its last line end, folded, encoded only where it must be."""
    if value.isascii() and value.isprintable() and "=?" not in value and value == value.strip(" "):
        if len(name) + len(value) < MAX_LINE - 1:
            return f"{name}: {value}"
        return _folded(name, value) or f"{name}: {encoded(value, len(name) + 2)}"
    return _unusual(name, header.neutralise(value))


def encoded(text: str, column: int) -> str:
    """Return `text` as encoded-words, one a line, the first beginning at `column`."""
    raw = text.encode("utf-8", "replace")
    room = min(_MAX_WORD, max(MAX_ENCODED_LINE - column, _MIN_ROOM)) - _AROUND
    length_as_b = (len(raw) + 2) // 3 * 4
    length_as_q = len(raw) + 2 * len(raw.translate(None, _SHORT))
    if length_as_q <= length_as_b:
        return (
            _as_q(raw, room) if length_as_q > room else f"=?utf-8?q?{''.join([_Q[byte] for byte in raw])}?="
        )
    if length_as_b <= room:
        return f"=?utf-8?b?{b2a_base64(raw, newline=False).decode()}?="
    return _as_b(raw, room)


def _unusual(name: str, value: str) -> str:
    if value.isascii() and "=?" not in value and value == value.strip(" \t"):
        if folded := _folded(name, value):
            return folded
    return f"{name}: {encoded(value, len(name) + 2)}"


def _folded(name: str, value: str) -> str | None:
    """Break before white space, which stays; None if there is a stretch that no line can hold."""
    lines = [f"{name}: "]
    for token in _TOKEN.findall(value):
        if len(token) > _MAX_TOKEN:
            return None
        if len(lines[-1]) + len(token) > MAX_LINE and token[0] in " \t":
            lines.append(token)
        else:
            lines[-1] += token
    return "\r\n".join(lines)


def _as_q(raw: bytes, room: int) -> str:
    words = [""]
    for piece in _characters(raw):
        if len(words[-1]) + len(piece) > room:
            words.append("")
            room = _MAX_WORD - _AROUND
        words[-1] += piece
    return "\r\n ".join([f"=?utf-8?q?{word}?=" for word in words])


def _characters(raw: bytes) -> list[str]:
    """Encode byte by byte, what belongs to one character in one piece (RFC 2047 5: never split one)."""
    pieces: list[str] = []
    for byte in raw:
        if byte & 0xC0 == 0x80:
            pieces[-1] += _Q[byte]
        else:
            pieces.append(_Q[byte])
    return pieces


def _as_b(raw: bytes, room: int) -> str:
    words = []
    start = 0
    while start < len(raw):
        end = start + room // 4 * 3
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(raw[start:end], newline=False).decode()}?=")
        start, room = end, _MAX_WORD - _AROUND
    return "\r\n ".join(words)
