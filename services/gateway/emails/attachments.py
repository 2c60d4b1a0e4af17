"""The files of a send object: what may be attached, under which names, and the bytes their base64 stands for. Pure.

A filename, a content id and a content type end up in header fields, so nothing gets through here that could end
one; a filename is a name only, for somebody's mail program will make a file of it.
"""

import binascii
import mimetypes
import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from services.gateway.errors import PAYLOAD_TOO_LARGE, ApiError, Problem
from shared.mail import header

MAX_FILES: Final = 10
MAX_NAME: Final = 255  # bytes: what file systems take
MAX_TYPE: Final = 255
MAX_ID: Final = 250
Disposition = Literal["attachment", "inline"]

_TYPES: Final = frozenset({"application", "audio", "chemical", "font", "image", "model", "text", "video"})
_TOKEN: Final = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
_TYPE: Final = re.compile(rf"({_TOKEN})/({_TOKEN})[ \t]*")
_PARAMETER: Final = re.compile(rf';[ \t]*({_TOKEN})=({_TOKEN}|"(?:[ !#-\[\]-~]|\\[ -~])*")[ \t]*')
# With these "txt.exe" is shown as "exe.txt" (UAX 9): the oldest trick there is with attachments.
_OVERRIDES: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE: Final = " .\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"
_ID: Final = re.compile(r"[!#$%&'*+./0-9:=?@A-Z^_`a-z{|}~-]+")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_BREAKS: Final = b"\r\n\t "
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_MORE_TYPES: Final = {
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".7z": "application/x-7z-compressed",
    ".gz": "application/gzip",
    ".heic": "image/heic",
    ".ics": "text/calendar",
    ".md": "text/markdown",
    ".rar": "application/vnd.rar",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
}
_known_types: Final = mimetypes.MimeTypes()  # Python's own list: the machine's would be another each time


class NewAttachment(msgspec.Struct, forbid_unknown_fields=True):
    """A file to attach. `content` is base64, padded or not, URL-safe or not, with or without line breaks.

    With a `content_id` the html shows it by `cid:`; it is then inline unless `disposition` says otherwise.
    """

    filename: str
    content: Annotated[str, msgspec.Meta(extra_json_schema={"contentEncoding": "base64"})]
    content_type: str | None = None
    content_id: str | None = None
    disposition: Disposition | None = None


class About(NamedTuple):
    """A file as its headers will describe it."""

    filename: str
    content_type: str
    content_id: str | None
    disposition: Disposition


class File(NamedTuple):
    """A checked file of a request, with its bytes."""

    about: About
    data: bytes


def read(given: Sequence[NewAttachment], path: str, problems: list[Problem]) -> tuple[File, ...]:
    """Return the files; what is wrong with them is added to `problems`, and then they mean nothing.

    Raises: ApiError 413 for more than ten.
    """
    if len(given) > MAX_FILES:
        raise too_many(path)
    files = []
    for number, one in enumerate(given):
        place = f"{path}[{number}]"
        about = describe(one.filename, one.content_type, one.content_id, one.disposition, place, problems)
        data = decoded(one.content)
        if data is None:
            problems.append(Problem(f"{place}.content", "is not base64"))
        files.append(File(about, data or b""))
    problems += repeated([file.about for file in files], path)
    return tuple(files)


def describe(
    filename: str,
    content_type: str | None,
    content_id: str | None,
    disposition: Disposition | None,
    path: str,
    problems: list[Problem],
) -> About:
    """Return the description of a file, with what was left out filled in; `problems` get what is wrong."""
    if wrong := wrong_name(filename):
        problems.append(Problem(f"{path}.filename", wrong))
    kind = guessed(filename) if content_type is None else _kind(content_type)
    if kind is None:
        problems.append(
            Problem(
                f"{path}.content_type", "must be a media type such as image/png; not message or multipart"
            )
        )
    if content_id is not None:
        content_id = content_id.removeprefix("<").removesuffix(">")
        if len(content_id) > MAX_ID or not _ID.fullmatch(content_id):
            problems.append(
                Problem(f"{path}.content_id", f"must be 1 to {MAX_ID} ASCII characters such as logo@example")
            )
    usual: Disposition = "attachment" if content_id is None else "inline"
    return About(filename, kind or "", content_id, disposition or usual)


def too_many(path: str) -> ApiError:
    """Return the refusal of more than ten files."""
    what = f"there may be at most {MAX_FILES} attachments"
    return ApiError(PAYLOAD_TOO_LARGE, what, [Problem(path, what)])


def wrong_name(filename: str) -> str | None:
    """Say what is wrong with a filename, or None: a name only, on one line, of a length that disks take."""
    if wrong := header.check_value(filename):
        return wrong
    if "\t" in filename:
        return "must not contain a tab"
    if _OVERRIDES.search(filename):
        return "must not turn the direction of writing: it would show another ending than it has"
    if not filename.strip(_INVISIBLE) or "/" in filename or "\\" in filename:
        return "must be a name only, without a path"
    if len(filename.encode()) > MAX_NAME:
        return f"is longer than {MAX_NAME} bytes"
    return None


def _kind(content_type: str) -> str | None:
    """Return the media type in one spelling, or None if it is none or one that mail would unfold."""
    found = _TYPE.match(content_type.strip(" \t"))
    if found is None or found[1].lower() not in _TYPES or len(content_type) > MAX_TYPE:
        return None
    text, at, kept = content_type.strip(" \t"), found.end(), ""
    while parameter := _PARAMETER.match(text, at):
        at = parameter.end()
        if parameter[1].lower() not in ("name", "boundary"):  # the filename is said once, and by us
            kept += f"; {parameter[1].lower()}={parameter[2]}"
    return f"{found[1]}/{found[2]}".lower() + kept if at == len(text) else None


def guessed(filename: str) -> str:
    """Return the media type that the name's ending stands for."""
    _, dot, ending = filename.rpartition(".")
    ending = dot + ending.lower()
    kind = _MORE_TYPES.get(ending) or _known_types.types_map[True].get(ending, "")
    return kind if kind.partition("/")[0] in _TYPES else "application/octet-stream"


def repeated(files: Sequence[About], path: str) -> list[Problem]:
    """Return the content ids that are there twice: the html could not say which it means."""
    seen: set[str] = set()
    problems = []
    for number, file in enumerate(files):
        if file.content_id is not None and file.content_id in seen:
            problems.append(
                Problem(f"{path}[{number}].content_id", "is the content id of another attachment")
            )
        seen.add(file.content_id or "")
    return problems


def decoded(text: str) -> bytes | None:
    """Return the bytes, or None if the text is not base64 (RFC 4648 4 and 5; padding may be left out)."""
    try:
        data = text.encode("ascii").translate(_URL_SAFE, _BREAKS)
        bare = data.rstrip(b"=")
        if len(bare) != len(data):
            return binascii.a2b_base64(data, strict_mode=True)
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
