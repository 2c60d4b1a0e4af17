"""Owns the imports under way: a file that was received whole becomes suppressions, and everybody can see how far.

An import belongs to the process that received it. If that ends, the rest is not imported, and the import says so;
the file may be imported again, for what is on the list already stays as it is.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
import structlog
from nats.aio.client import Client

from services.gateway.suppressions import rows
from shared.runtime import process, topology
from shared.runtime.buckets import Bucket
from shared.runtime.content import ContentMissing, ContentStore, ContentUnavailable
from shared.runtime.log import BrokerUnavailable
from shared.runtime.suppressions import Cause, Entry, Suppressions

logger = structlog.get_logger(__name__)
BATCH: Final = 500
AT_ONCE: Final = 2
TELL_EVERY: Final = 1.0
SILENT_FOR: Final = timedelta(seconds=20)
TRIES: Final = 30
MAX_PROBLEMS: Final = 1000
INTERRUPTED: Final = "the process that imported it has ended; import the file again"


class RowProblem(msgspec.Struct, frozen=True):
    """Why a record was not imported, by the line it begins in."""

    line: int
    message: str


class Import(msgspec.Struct, kw_only=True):
    """How far an import is: of `rows` records read, `added` are new, `known` were on the list, `rejected` are wrong.

    `problems` holds the first thousand of what was rejected.
    """

    id: str
    status: Literal["running", "done", "failed", "interrupted"] = "running"
    error: str | None = None
    bytes_done: int = 0
    bytes_total: int
    rows: int = 0
    added: int = 0
    known: int = 0
    rejected: int = 0
    problems: list[RowProblem] = []
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None


class Imports:
    """Runs the imports of this process, a few at a time, and reads those of all."""

    def __init__(self, client: Client, content: ContentStore, lists: Suppressions) -> None:
        self._bucket = Bucket(client, topology.IMPORTS, Import)
        self._content, self._lists = content, lists
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)

    @property
    def under_way(self) -> int:
        """How many run or wait in this process."""
        return len(self._tasks)

    async def start(self, workspace: str, number: str, key: str, size: int, reason: Cause) -> Import:
        """Begin with a file that is in the content store; it is deleted at the end. Raises: BrokerUnavailable."""
        now = datetime.now(UTC)
        job = Import(id=number, bytes_total=size, created_at=now, updated_at=now)
        await self._tell(workspace, job)
        task = asyncio.create_task(self._run(workspace, job, key, reason), name=f"import-{number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def read(self, workspace: str, number: str) -> Import | None:
        """Return an import as it stands. Raises: BrokerUnavailable."""
        found = await self._bucket.read(f"{workspace}.{number}")
        if found is None:
            return None
        job = found[1]
        if job.status == "running" and datetime.now(UTC) - job.updated_at > SILENT_FOR:
            job.status, job.error = "interrupted", INTERRUPTED
        return job

    async def stop(self) -> None:
        """End what is under way; each says that it was interrupted."""
        await process.end(*self._tasks)

    async def _run(self, workspace: str, job: Import, key: str, reason: Cause) -> None:
        telling = asyncio.create_task(self._tell_for_ever(workspace, job))
        try:
            async with self._turn:
                await self._import(workspace, job, key, reason)
            job.status = "done"
        except asyncio.CancelledError:
            job.status, job.error = "interrupted", INTERRUPTED
        except (rows.Wrong, UnicodeDecodeError) as error:
            job.status = "failed"
            job.error = str(error) if isinstance(error, rows.Wrong) else "the file is not UTF-8"
        except (BrokerUnavailable, ContentUnavailable, ContentMissing) as error:
            logger.warning("import_failed", workspace=workspace, id=job.id, error=str(error))
            job.status, job.error = "failed", "something of ours did not answer for long; import it again"
        except Exception:
            logger.exception("import_failed", workspace=workspace, id=job.id)
            job.status, job.error = "failed", "a fault of ours; what was added is in force"
        finally:
            await process.end(telling)
            job.finished_at = datetime.now(UTC)
            await self._end(workspace, job, key)

    async def _end(self, workspace: str, job: Import, key: str) -> None:
        try:
            await self._tell(workspace, job)
            await self._content.delete(key)
        except (BrokerUnavailable, ContentUnavailable) as error:
            logger.warning("import_not_closed", workspace=workspace, id=job.id, error=str(error))

    async def _import(self, workspace: str, job: Import, key: str, reason: Cause) -> None:
        places: dict[str, int] | None = None
        batch: list[Entry] = []
        now = datetime.now(UTC)
        async for number, text in rows.records(self._pieces(job, key)):
            try:
                line = rows.cells(number, text)
                if line is None:
                    continue
                if places is None:
                    header = rows.columns(line)
                    places = header or rows.BY_PLACE
                    if header:
                        continue
                job.rows += 1
                batch.append(rows.entry(line, places, reason, now))
            except rows.Wrong as wrong:
                _reject(job, number, str(wrong))
            if len(batch) >= BATCH:
                await self._add(workspace, job, batch)
                batch = []
        await self._add(workspace, job, batch)

    async def _pieces(self, job: Import, key: str) -> AsyncIterator[bytes]:
        async for piece in self._content.stream(key):
            yield piece
            job.bytes_done += len(piece)

    async def _add(self, workspace: str, job: Import, batch: list[Entry]) -> None:
        if not batch:
            return
        for left in reversed(range(TRIES)):
            try:
                new = sum(await self._lists.add_all(workspace, batch))
                break
            except BrokerUnavailable:
                if not left:
                    raise
                await asyncio.sleep(2)
        else:
            raise AssertionError
        job.added += new
        job.known += len(batch) - new

    async def _tell_for_ever(self, workspace: str, job: Import) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            try:
                await self._tell(workspace, job)
            except BrokerUnavailable as error:
                logger.debug("import_not_told", id=job.id, error=str(error))

    async def _tell(self, workspace: str, job: Import) -> None:
        job.updated_at = datetime.now(UTC)
        await self._bucket.put(f"{workspace}.{job.id}", job)


def _reject(job: Import, number: int, message: str) -> None:
    job.rejected += 1
    if len(job.problems) < MAX_PROBLEMS:
        job.problems.append(RowProblem(number, message[:200]))
