"""A part of a file that a client asks for (RFC 9110 14): one range of bytes, or the whole. Pure."""

import re
from typing import Final, NamedTuple

from services.gateway.errors import RANGE_NOT_SATISFIABLE, ApiError

_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class Range(NamedTuple):
    """From `start` up to but not including `end`, of `size` bytes."""

    start: int
    end: int
    size: int

    def header(self) -> str:
        """Return Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def asked(header: str | None, size: int) -> Range | None:
    """Return the range, or None for the whole file: also for several at once, and for what cannot be read.

    Raises: ApiError 416 with Content-Range.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
        if found[2] and end <= start:
            return None
    if start >= size:
        raise ApiError(
            RANGE_NOT_SATISFIABLE,
            f"the file has {size} bytes",
            headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"},
        )
    return Range(start, min(end, size), size)
