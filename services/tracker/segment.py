"""One file of the journal: hits, a line each with a checksum, and beside it the ids of those that are done.

A line is whole or it is nothing: what a crash or a full disk has torn is passed over, and costs no other line.
"""

import errno
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from services.tracker.hit import Hit

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Hit).decode


def line(hit: Hit) -> bytes:
    """Return the hit as a file has it."""
    data = _encode(hit)
    return b"%08x %b\n" % (zlib.crc32(data), data)


class Segment:
    """One file, how many of its hits are still to be taken, and whether anybody holds those in memory."""

    def __init__(self, path: Path, *, is_left: bool = False) -> None:
        self.path, self.is_left = path, is_left
        self.size = path.stat().st_size if path.exists() else 0
        self.open_hits = 0
        self._file = self._done = -1

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def append(self, data: bytes) -> None:
        """Return when it is on disk. Raises: OSError; then the file may end in a torn line."""
        if self._file < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_DSYNC
            self._file = os.open(self.path, flags, 0o600)
            _sync(self.path.parent)
        # One call that writes and flushes: a thread waits for the interpreter after each call it makes.
        if os.write(self._file, data) != len(data):
            raise OSError(errno.ENOSPC, "no room for all of it")

    def tick_off(self, hits: Iterable[Hit]) -> None:
        """Note that these are done. Nothing waits for the disk here: what is not noted is only taken again."""
        with suppress(OSError):
            if self._done < 0:
                self._done = os.open(self._ids, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(self._done, "".join(f"{hit.event_id}\n" for hit in hits).encode())

    def read(self) -> list[Hit]:
        """Return the hits that are not done. Raises: OSError."""
        done = set(self._ids.read_text("utf-8", "replace").splitlines()) if self._ids.exists() else set()
        found = []
        with self.path.open("rb") as file:
            for text in file:
                mark, _, data = text.rstrip(b"\n").partition(b" ")
                with suppress(ValueError, msgspec.MsgspecError):
                    if int(mark, 16) == zlib.crc32(data) and (hit := _decode(data)).event_id not in done:
                        hit.segment, hit.is_left = self.name, False
                        found.append(hit)
        return found

    def close(self) -> None:
        """Write no more."""
        for number in (self._file, self._done):
            if number >= 0:
                os.close(number)
        self._file = self._done = -1

    def remove(self) -> None:
        """Delete it."""
        self.close()
        for path in (self.path, self._ids):
            path.unlink(missing_ok=True)

    @property
    def _ids(self) -> Path:
        return self.path.with_suffix(".done")


def _sync(directory: Path) -> None:
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
