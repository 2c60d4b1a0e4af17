"""Messages on disk: append-only segments, and 24 bytes of memory a message.

Each message is one write of a JSON line (its summary) and the exact bytes received, so whatever was answered
250 is there again after a kill, and a half-written tail is recognised and cut off. Nothing is fsynced: a
development mailbox owes nobody its mail after a power cut.
"""

import mmap
import os
import weakref
from array import array
from collections.abc import Iterator
from pathlib import Path

import msgspec

_SEGMENT_BYTES = 64 * 1024 * 1024


class Summary(msgspec.Struct):
    """What a list of messages says about one."""

    id: str
    mail_from: str
    rcpt_to: list[str]
    received_at: str
    subject: str
    size: int


_encoder = msgspec.json.Encoder()
decode = msgspec.json.Decoder(Summary).decode


class _Segment:
    """One open segment file; closed when nobody reads it any more, also after it was deleted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self.descriptor).st_size
        weakref.finalize(self, os.close, self.descriptor)


class Storage:
    """The messages of one mailbox, numbered from 1 for ever; `clear` does not start anew."""

    def __init__(self, directory: Path, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        """Open the messages in `directory`, made if need be; one process only."""
        self._directory = directory
        self._segment_bytes = segment_bytes
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._segments: list[_Segment] = []
        self._forget(first=1)
        for path in sorted(directory.glob("*.segment")):
            self._load(path)
        if not self._segments:
            self._begin_segment()

    def __len__(self) -> int:
        return len(self._offsets)

    def append(self, mail_from: str, rcpt_to: list[str], received_at: str, subject: str, raw: bytes) -> str:
        """Write a message and return its id. Raises OSError, and then nothing is kept of it."""
        segment = self._segments[-1]
        if segment.size >= self._segment_bytes:
            segment = self._begin_segment()
        number = str(self._first + len(self))
        line = _encoder.encode(Summary(number, mail_from, rcpt_to, received_at, subject, len(raw)))
        record = b"".join((line, b"\n", raw, b"\n"))
        try:
            _write_whole(segment.descriptor, record)
        except OSError:
            os.ftruncate(segment.descriptor, segment.size)
            raise
        self._place(segment.size, len(line), len(raw))
        segment.size += len(record)
        return number

    def summary(self, number: str) -> bytes | None:
        """Return the summary of a message as JSON, None if there is none of that id."""
        index = self._index(number)
        return None if index is None else self._summary_at(index)

    def raw(self, number: str) -> bytes | None:
        """Return the exact bytes of a message, None if there is none of that id."""
        index = self._index(number)
        if index is None:
            return None
        segment, offset = self._segments[self._which[index]], self._offsets[index] + self._lines[index] + 1
        return os.pread(segment.descriptor, self._sizes[index], offset)

    def newest_first(self) -> Iterator[bytes]:
        """Yield each message's summary as JSON; mail that comes or goes meanwhile does not disturb it."""
        segments, which, offsets, lines = self._segments, self._which, self._offsets, self._lines
        for index in range(len(offsets) - 1, -1, -1):
            yield os.pread(segments[which[index]].descriptor, lines[index], offsets[index])

    def clear(self) -> None:
        """Delete all messages."""
        first, old = self._first + len(self), self._segments
        self._forget(first)
        self._segments = []
        # The new segment's name keeps the numbering, so it is there before the old ones go.
        self._begin_segment()
        for segment in old:
            if segment.path != self._segments[0].path:
                segment.path.unlink(missing_ok=True)

    def _forget(self, first: int) -> None:
        self._first = first
        self._which, self._lines = array("I"), array("I")
        self._offsets, self._sizes = array("Q"), array("Q")

    def _index(self, number: str) -> int | None:
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        index = int(number) - self._first
        return index if 0 <= index < len(self) else None

    def _summary_at(self, index: int) -> bytes:
        segment = self._segments[self._which[index]]
        return os.pread(segment.descriptor, self._lines[index], self._offsets[index])

    def _place(self, offset: int, line: int, size: int) -> None:
        self._which.append(len(self._segments) - 1)
        self._offsets.append(offset)
        self._lines.append(line)
        self._sizes.append(size)

    def _begin_segment(self) -> _Segment:
        segment = _Segment(self._directory / f"{self._first + len(self):012d}.segment")
        self._segments.append(segment)
        return segment

    def _load(self, path: Path) -> None:
        if not self._segments:
            self._first = int(path.stem)
        segment = _Segment(path)
        self._segments.append(segment)
        end = 0
        if segment.size:
            with mmap.mmap(segment.descriptor, 0, access=mmap.ACCESS_READ) as content:
                end = self._load_records(content)
        if end < segment.size:
            os.ftruncate(segment.descriptor, end)
            segment.size = end

    def _load_records(self, content: mmap.mmap) -> int:
        """Find every whole record; return where the last one ends."""
        offset = 0
        while (newline := content.find(b"\n", offset)) >= 0:
            try:
                size = decode(content[offset:newline]).size
            except msgspec.MsgspecError:
                break
            end = newline + 1 + size
            if end >= len(content) or content[end] != 0x0A:
                break
            self._place(offset, newline - offset, size)
            offset = end + 1
        return offset


def _write_whole(descriptor: int, record: bytes) -> None:
    written = os.write(descriptor, record)
    while written < len(record):
        written += os.write(descriptor, record[written:])
