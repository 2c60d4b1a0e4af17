"""What stands before the bytes of a form: its boundary, and the head of each part (RFC 7578, RFC 2046 5.1). Pure.

Browsers, curl and libraries each write a filename their own way; whatever way it is, one and the same name comes
out here, or the head is refused.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from services.gateway.errors import UNSUPPORTED_MEDIA_TYPE, ApiError, Problem, invalid

MAX_LINES: Final = 32
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE: Final = re.compile(rf"({_TOKEN}):[ \t]*(.*)", re.DOTALL)
_PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*({_TOKEN})[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"\s]*)')
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BY_BROWSERS: Final = re.compile(r"%(22|0[Dd]|0[Aa])")  # the three that HTML forms escape, and no others
_SECTION: Final = re.compile(r"filename\*([0-9]{1,2})(\*?)")
_EXTENDED: Final = re.compile(r"(utf-8|iso-8859-1|us-ascii)'[^']*'(.*)", re.IGNORECASE | re.DOTALL)
_PLAIN: Final = ("", "7bit", "8bit", "binary", "identity")


class HeadError(ValueError):
    """Why a part's head is not taken, in a client's words."""


class Head(NamedTuple):
    """The head of a part. One with a filename, be it empty, is a file."""

    name: str
    filename: str | None
    content_type: str | None
    content_id: str | None


def boundary(content_type: str) -> bytes:
    """Return the boundary of a form. Raises: ApiError 415 for another type, 400 without a boundary."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise ApiError(UNSUPPORTED_MEDIA_TYPE, "the body must be multipart/form-data")
    try:
        found = _parameters(f";{rest}" if rest.strip() else "").get("boundary", "")
    except HeadError:
        found = ""
    if not _BOUNDARY.fullmatch(found):
        raise invalid([Problem('$.headers["Content-Type"]', "names no boundary of 1 to 70 characters")])
    return found.encode()


def parse(block: bytes) -> Head:
    """Return what the lines of a head say. Raises: HeadError."""
    fields = _fields(block)
    for name in ("content-transfer-encoding", "content-encoding"):
        if fields.get(name, "").strip().lower() not in _PLAIN:
            raise HeadError(f"{name.title()} is not taken: a part is sent as it is")
    kind, _, rest = fields.get("content-disposition", "").partition(";")
    if kind.strip().lower() != "form-data":
        raise HeadError("a part needs Content-Disposition: form-data with a name")
    parameters = _parameters(f";{rest}" if rest else "")
    if "name" not in parameters:
        raise HeadError("a part needs a name in its Content-Disposition")
    return Head(
        _from_browser(parameters["name"]),
        _filename(parameters),
        fields.get("content-type"),
        fields.get("content-id"),
    )


def _fields(block: bytes) -> dict[str, str]:
    try:
        lines = block.decode().split("\r\n")
    except UnicodeDecodeError:
        raise HeadError("the head of a part must be UTF-8") from None
    if len(lines) > MAX_LINES:
        raise HeadError(f"a part may have at most {MAX_LINES} header lines")
    fields: dict[str, str] = {}
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None or _CONTROL.search(line):
            raise HeadError("a header line of a part is none: a name, a colon and a value")
        name = found[1].lower()
        if name in fields:
            raise HeadError(f"{name.title()} is there twice")
        fields[name] = found[2].strip(" \t")
    return fields


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters behind a value, each name once. Raises: HeadError."""
    found: dict[str, str] = {}
    at = 0
    while parameter := _PARAMETER.match(text, at):
        at = parameter.end()
        name, value = parameter[1].lower(), parameter[2]
        if name in found:
            raise HeadError(f"the parameter {name} is there twice")
        # Old browsers send backslashes as they are, so only what must be escaped is taken as escaped.
        found[name] = re.sub(r'\\(["\\])', r"\1", value[1:-1]) if value.startswith('"') else value
    if text[at:].strip(" \t;"):
        raise HeadError("the parameters of a header line of a part cannot be read")
    return found


def _filename(parameters: dict[str, str]) -> str | None:
    """Return the filename, from the most exact of its spellings; None if there is none."""
    if "filename*" in parameters:
        charset, text = _extended(parameters["filename*"])
        return _decoded(unquote_to_bytes(text), charset)
    if any(_SECTION.fullmatch(name) for name in parameters):
        return _joined(parameters)
    given = parameters.get("filename")
    return None if given is None else _from_browser(given)


def _joined(parameters: dict[str, str]) -> str:
    """Return a filename in sections (RFC 2231 3 and 4.1): `filename*0*=`, `filename*1=`, …"""
    sections: dict[int, tuple[str, str]] = {}
    for name, value in parameters.items():
        if found := _SECTION.fullmatch(name):
            sections[int(found[1])] = (found[2], value)
    if sorted(sections) != list(range(len(sections))):
        raise HeadError("a section of the filename is missing")
    charset, data = "utf-8", b""
    for number, (star, value) in sorted(sections.items()):
        text = value
        if star and number == 0:
            charset, text = _extended(value)
        data += unquote_to_bytes(text) if star else text.encode()
    return _decoded(data, charset)


def _extended(value: str) -> tuple[str, str]:
    found = _EXTENDED.fullmatch(value)
    if found is None:
        raise HeadError("filename* must be written as UTF-8''percent%20encoded")
    return found[1], found[2]


def _decoded(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        raise HeadError(f"the filename is not {charset}") from None


def _from_browser(text: str) -> str:
    return _BY_BROWSERS.sub(lambda found: chr(int(found[1], 16)), text)
