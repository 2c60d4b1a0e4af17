"""The journal of hits: on this machine's disk before anyone is answered, let go once the log has them.

A pixel and a redirect must work with the broker down, and a hit that was answered must not be lost with the
process: so every hit is written here first, many by one flush. What memory has no room for is left on disk and
read again later, and so is what an earlier process has left; what the disk has no room for is dropped and told.
"""

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from services.tracker.hit import Hit
from services.tracker.segment import Segment, line

logger = structlog.get_logger(__name__)
DROPPED: Final = Counter(
    "sendlog_hits_dropped_total", "Hits answered and not kept: the journal was full or failed"
)
BYTES: Final = Gauge("sendlog_hits_journal_bytes", "Bytes of hits on disk that the log may not have yet")
SEGMENT_BYTES: Final = 2 * 1024 * 1024
MAX_BYTES: Final = 256 * 1024 * 1024
COMPLAIN_EVERY: Final = 5.0
_Waiting = tuple[bytes, Hit, "asyncio.Future[bool]"]


class Journal:
    """Writes hits; one flush is under way, and what arrives meanwhile is written by the next.

    `leaves` says that new hits are to be left on disk: nobody will hold them in memory.
    """

    def __init__(self, directory: Path) -> None:
        """Take possession of the directory. Raises: OSError when it cannot be used, or another tracker uses it."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(directory / "lock")
        self._directory = directory
        self._segments: dict[str, Segment] = {}
        self._left: deque[Segment] = deque()
        self._bytes = self._number = 0
        self._current: Segment | None = None
        self._waiting: list[_Waiting] = []
        self._wake, self._writing = asyncio.Event(), asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "journal")
        self._complained_at = -COMPLAIN_EVERY
        self.leaves = False
        self.problem: str | None = None
        for path in sorted(directory.glob("hits-*.log")):
            self._found(Segment(path, is_left=True))

    def start(self) -> None:
        """Begin writing; call once in a running loop."""
        self._task = asyncio.create_task(self._write_for_ever(), name="journal")

    async def stop(self) -> None:
        """Write what waits, then end; what nobody has let go of stays for the next start."""
        await asyncio.gather(*(done for _, _, done in self._waiting))
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown()
        self._rotate()
        os.close(self._lock)

    async def keep(self, hit: Hit) -> bool:
        """Return once the hit is on disk: True; False where it could not be kept, and nobody may wait for it."""
        if self._bytes > MAX_BYTES:
            self._failed(1, "the journal is full")
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((line(hit), hit, done))
        self._wake.set()
        return await done

    def let_go(self, hits: Iterable[Hit]) -> None:
        """Forget hits: the log has them."""
        for name, group in groupby(sorted(hits, key=attrgetter("segment")), key=attrgetter("segment")):
            segment, known = self._segments.get(name), list(group)
            if segment is not None:
                segment.open_hits -= len(known)
                if not self._removed(segment):
                    segment.tick_off(known)

    @property
    def has_left(self) -> bool:
        """Say whether hits are on disk that nobody holds."""
        return bool(self._left)

    async def load(self) -> list[Hit]:
        """Return the oldest hits that were left, to be held from now on; none if there are none."""
        if not self._left:
            return []
        segment = self._left.popleft()
        if segment is self._current:
            async with self._writing:
                self._rotate()
        try:
            hits = await asyncio.to_thread(segment.read)
        except OSError as error:
            self._failed(segment.open_hits, f"{segment.path} cannot be read: {error}")
            hits = []
        segment.is_left, segment.open_hits = False, len(hits)
        self._removed(segment)
        return hits

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                async with self._writing:
                    await self._write(batch)

    async def _write(self, batch: list[_Waiting]) -> None:
        segment = self._segment()
        data = b"".join([text for text, _, _ in batch])
        segment.open_hits += len(batch)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, segment.append, data)
        except OSError as error:
            segment.open_hits -= len(batch)
            self._failed(len(batch), f"{segment.path} cannot be written: {error}")
            self._rotate()  # it may end in a torn line
            kept = False
        else:
            kept, self.problem = True, None
        segment.size += len(data)
        self._count(len(data))
        for _, hit, done in batch:
            hit.segment, hit.is_left = segment.name if kept else "", segment.is_left
            if not done.done():
                done.set_result(kept)

    def _segment(self) -> Segment:
        current = self._current
        if current is None or current.size >= SEGMENT_BYTES or current.is_left != self.leaves:
            self._rotate()
            self._number += 1
            path = self._directory / f"hits-{self._number:08d}.log"
            current = self._current = Segment(path, is_left=self.leaves)
            self._found(current)
        return current

    def _found(self, segment: Segment) -> None:
        self._segments[segment.name] = segment
        self._number = max(self._number, int(segment.path.stem.partition("-")[2]))
        self._count(segment.size)
        if segment.is_left:
            self._left.append(segment)

    def _rotate(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current.close()
            self._removed(current)

    def _removed(self, segment: Segment) -> bool:
        """Remove the file if nobody needs it, and say so."""
        if segment is self._current or segment.is_left or segment.open_hits:
            return False
        segment.remove()
        self._segments.pop(segment.name, None)
        self._count(-segment.size)
        return True

    def _count(self, more: int) -> None:
        self._bytes += more
        BYTES.set(self._bytes)

    def _failed(self, hits: int, why: str) -> None:
        DROPPED.inc(hits)
        self.problem = why
        now = asyncio.get_running_loop().time()
        if now - self._complained_at >= COMPLAIN_EVERY:
            self._complained_at = now
            logger.error("hits_dropped", hits=hits, why=why)


def _locked(path: Path) -> int:
    """Return the held lock: two processes in one directory would write into and delete each other's files."""
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(number)
        raise OSError(error.errno, "the journal is in use by another tracker", str(path.parent)) from error
    return number
