"""Owns parameters of content headers: quoted where every reader agrees, else extended (RFC 2231).

No value can end its parameter or its line, and no character is split over two segments: a decoder that goes
segment by segment would lose it.
"""

import re
import unicodedata
from typing import Final

from shared.mail import header

_MAX_LINE: Final = 76
_LONGEST_PLAIN: Final = 60
# Two spaces and "=?" are left out: parsers fold the first and decode the second inside quotes.
_PLAIN: Final = re.compile(r"(?!.*(?:  |=\?))[!#-\[\]-~](?:[ !#-\[\]-~]{0,58}[!#-\[\]-~])?")
_NOT_IN_FALLBACK: Final = re.compile(r"[^A-Za-z0-9 !#$&+,.;=@^_{}~()-]| (?= )|=(?=\?)")
# RFC 2231 7: attribute-char.
_BARE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")
_EXTENDED: Final = tuple(chr(byte) if byte in _BARE else f"%{byte:02X}" for byte in range(256))


def parameter(name: str, value: str) -> str:
    """Return the parameter to write behind what stands before it: `;`, a folded line for each segment.

    There is never a plain parameter of the same name beside the extended one: which of the two a reader takes
    differs, and Python's takes the wrong one. The fallback for old readers belongs into another parameter.
    """
    if _PLAIN.fullmatch(value):
        return f';\r\n {name}="{value}"'
    segments = [""]
    room = _MAX_LINE - len(f" {name}*00*=utf-8'';")
    for character in header.neutralise(value):
        piece = "".join([_EXTENDED[byte] for byte in character.encode("utf-8", "replace")])
        if len(segments[-1]) + len(piece) > room:
            segments.append("")
        segments[-1] += piece
    if len(segments) == 1:
        return f";\r\n {name}*=utf-8''{segments[0]}"
    segments[0] = f"utf-8''{segments[0]}"
    return "".join([f";\r\n {name}*{number}*={text}" for number, text in enumerate(segments)])


def fallback(value: str) -> str:
    """Return a name in plain ASCII for readers that do not know RFC 2231, its extension kept."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", value) if not unicodedata.combining(c))
    plain = _NOT_IN_FALLBACK.sub("_", bare).strip()
    if len(plain) > _LONGEST_PLAIN:
        stem, dot, extension = plain.rpartition(".")
        kept = dot + extension if stem and len(extension) <= 10 else ""
        plain = plain[: _LONGEST_PLAIN - len(kept)].rstrip() + kept
    return plain or "_"
