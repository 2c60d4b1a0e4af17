"""Owns how files are laid around the bodies of a message: mixed, alternative, related (RFC 2046, RFC 2387).

A layout is made without a byte of any file, and its size is exact: files are base64, whatever their type, so
what arrives is bit by bit what was given, and no line of a file can end the message or a part.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias
from urllib.parse import quote

import msgspec

from shared.mail import mime, rfc2231

_OPAQUE: Final = "application/octet-stream"
_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]{1,64}"
_TYPE: Final = re.compile(rf"({_TOKEN})/{_TOKEN}")
_PARAMETER: Final = re.compile(rf';[ \t]*({_TOKEN})=({_TOKEN}|"[ !#-\[\]-~]{{0,60}}")[ \t]*')
_LONGEST_MARK: Final = 60
_BETWEEN: Final = "!#$%&'*+-/=?^_`{|}~.@:()[],;"  # what a Content-ID keeps; anything else is percent-encoded


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a message and where its bytes are. `sha256` is in hex; `inline` asks for its place in the html."""

    filename: str
    content_type: str
    size: int
    sha256: str
    key: str
    content_id: str | None = None
    inline: bool = False


Layout: TypeAlias = list[bytes | File]
"""Bytes, and the files whose base64 stands between them, in order. Two bytes never follow each other."""


def layout(text: str | None, html: str | None, files: Sequence[File], boundary: str) -> Layout:
    """Return the content headers, the empty line and the body.

    What the html shows is multipart/related with it, in a multipart/alternative if there is a text, in a
    multipart/mixed if there are other files.
    Raises: ValueError if `boundary` is none (RFC 2046 5.1.1).
    """
    texts = [mime.TEXT + mime.encoded(text or "")] if text is not None or html is None else []
    htmls = [mime.HTML + mime.encoded(html)] if html is not None else []
    mark = mime.unused(boundary[:_LONGEST_MARK], *texts, *htmls).decode()
    shown = [file for file in files if html is not None and _is_shown(file, html)]
    bodies: list[Layout] = [[body + b"\r\n"] for body in (*texts, *htmls)]
    if shown:
        bodies[-1] = _multipart('related; type="text/html"', mark + ".r", [bodies[-1], *map(_inside, shown)])
    content = bodies[0] if len(bodies) == 1 else _multipart("alternative", mark + ".a", bodies)
    if others := [file for file in files if file not in shown]:
        content = _multipart("mixed", mark + ".m", [content, *map(_beside, others)])
    return _joined(content)


def size(pieces: Layout) -> int:
    """Return how many bytes the message has."""
    return sum(len(p) if isinstance(p, bytes) else mime.base64_size(p.size) for p in pieces)


def _is_shown(file: File, html: str) -> bool:
    return file.inline or (file.content_id is not None and f"cid:{file.content_id}" in html)


def _inside(file: File) -> Layout:
    return [_head(file, "inline"), file]


def _beside(file: File) -> Layout:
    return [_head(file, "inline" if file.inline else "attachment"), file]


def _multipart(kind: str, mark: str, parts: Sequence[Layout]) -> Layout:
    """Return the parts between their marks. Each part ends in the CRLF that belongs to the mark behind it."""
    made: Layout = [f'Content-Type: multipart/{kind};\r\n boundary="{mark}"\r\n\r\n'.encode()]
    for part in parts:
        made += [f"--{mark}\r\n".encode(), *part]
    made.append(f"--{mark}--\r\n".encode())
    return made


def _head(file: File, disposition: str) -> bytes:
    lines = [
        f"Content-Type: {_content_type(file)}",
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: {disposition}{_named(file)}",
    ]
    if file.content_id:
        lines.append(f"Content-ID: <{quote(file.content_id, safe=_BETWEEN)[:900]}>")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _named(file: File) -> str:
    return rfc2231.parameter("filename", file.filename) if file.filename else ""


def _content_type(file: File) -> str:
    """Return the type as given, with a name in ASCII for old readers.

    A message or a multipart may not be in base64 (RFC 2046 5.2.1), and readers take it apart as it stands:
    its bytes arrive as they were only under a type that says nothing about them.
    """
    name = f';\r\n name="{rfc2231.fallback(file.filename)}"' if file.filename else ""
    found = _TYPE.match(file.content_type)
    if found is None or found[1].lower() in ("message", "multipart"):
        return _OPAQUE + name
    kept, at = found[0], found.end()
    while parameter := _PARAMETER.match(file.content_type, at):
        at = parameter.end()
        if parameter[1].lower() not in ("name", "boundary"):
            kept += (
                f"; {parameter[1]}={parameter[2]}"
                if len(kept) < 40
                else f";\r\n {parameter[1]}={parameter[2]}"
            )
    return kept + name


def _joined(pieces: Layout) -> Layout:
    made: Layout = []
    for piece in pieces:
        if isinstance(piece, bytes) and made and isinstance(made[-1], bytes):
            made[-1] += piece
        else:
            made.append(piece)
    return made
