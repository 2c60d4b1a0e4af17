"""The journal of hits: on this machine's disk before anyone is answered, let go once the log has them.

A pixel and a redirect must work with the broker down, and a hit that was answered must not be lost with the
process: so every hit is written here first, many by one flush, and what is left at a start is taken again.
"""

import asyncio
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog
from prometheus_client import Counter

from services.tracker.hit import Hit

logger = structlog.get_logger(__name__)
DROPPED: Final = Counter(
    "sendlog_hits_dropped_total", "Hits answered and not kept: the journal was full or failed"
)
SEGMENT_BYTES: Final = 4 * 1024 * 1024
MAX_BYTES: Final = 256 * 1024 * 1024
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Hit).decode


class _Segment:
    """One file of the journal, and how many of its hits are still to be taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size if path.exists() else 0
        self.open_hits = 0
        self.is_closed = False

    def drop_if_done(self) -> int:
        """Remove the file when nothing needs it; return the bytes that became free."""
        if self.open_hits or not self.is_closed:
            return 0
        self.path.unlink(missing_ok=True)
        return self.size


class Journal:
    """Writes hits; one flush is under way, and what arrives meanwhile is written by the next."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._segments: dict[str, _Segment] = {}
        self._bytes = 0
        self._number = 0
        self._current: _Segment | None = None
        self._waiting: list[tuple[bytes, Hit, asyncio.Future[bool]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin writing; call once in a running loop."""
        self._task = asyncio.create_task(self._write_for_ever(), name="journal")

    async def stop(self) -> None:
        """Write what waits, then end; what nobody has let go of stays for the next start."""
        await asyncio.gather(*(done for _, _, done in self._waiting))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def left_over(self) -> list[Hit]:
        """Return what an earlier process has left here; call once, before `start`. A torn line ends its file."""
        hits: list[Hit] = []
        for path in sorted(self._directory.glob("hits-*.log")):
            segment = _Segment(path)
            self._segments[path.name] = segment
            self._number = max(self._number, int(path.stem.partition("-")[2]))
            self._bytes += segment.size
            for hit in _read(path):
                segment.open_hits += 1
                hits.append(msgspec.structs.replace(hit, segment=path.name))
            segment.is_closed = True
            self._bytes -= segment.drop_if_done()
        return hits

    async def keep(self, hit: Hit) -> bool:
        """Return once the hit is on disk: True; False where it could not be kept, and nobody may wait for it."""
        if self._bytes > MAX_BYTES:
            DROPPED.inc()
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        data = _encode(hit)
        self._waiting.append((b"%08x %b\n" % (zlib.crc32(data), data), hit, done))
        self._wake.set()
        return await done

    def let_go(self, hit: Hit) -> None:
        """Forget a hit: the log has it."""
        segment = self._segments.get(hit.segment)
        if segment is not None:
            segment.open_hits -= 1
            freed = segment.drop_if_done()
            if freed or (segment.is_closed and not segment.open_hits):
                self._bytes -= freed
                del self._segments[hit.segment]

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._write(batch)

    async def _write(self, batch: list[tuple[bytes, Hit, "asyncio.Future[bool]"]]) -> None:
        segment = self._segment()
        data = b"".join(line for line, _, _ in batch)
        try:
            await asyncio.to_thread(_append, segment.path, data)
        except OSError as error:
            logger.error("journal_failed", error=str(error), hits=len(batch))
            DROPPED.inc(len(batch))
            kept = False
        else:
            kept = True
            segment.size += len(data)
            segment.open_hits += len(batch)
            self._bytes += len(data)
        for _, hit, done in batch:
            hit.segment = segment.path.name if kept else ""
            if not done.done():
                done.set_result(kept)

    def _segment(self) -> _Segment:
        current = self._current
        if current is None or current.size >= SEGMENT_BYTES:
            if current is not None:
                current.is_closed = True
                self._bytes -= current.drop_if_done()
            self._number += 1
            current = self._current = _Segment(self._directory / f"hits-{self._number:08d}.log")
            self._segments[current.path.name] = current
        return current


def _append(path: Path, data: bytes) -> None:
    is_new = not path.exists()
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
    if is_new:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _read(path: Path) -> Iterator[Hit]:
    with path.open("rb") as file:
        for line in file:
            mark, _, data = line.rstrip(b"\n").partition(b" ")
            try:
                if int(mark, 16) != zlib.crc32(data):
                    return
                yield _decode(data)
            except (ValueError, msgspec.MsgspecError):
                return
