"""The content store: large bodies and attachments by key, `file://` or `s3://` behind one URL.

Keys begin with the workspace and the day, so that no workspace reads another's and what is old is found. An
object is whole and durable under its key before anything refers to it; a failed upload leaves no key behind.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import obstore
import structlog
from obstore.store import LocalStore, from_url

from shared.runtime.content_files import MARKER, Files

logger = structlog.get_logger(__name__)
STEP: Final = 256 * 1024  # bytes handed to the disk at a time
PIECE: Final = 256 * 1024  # bytes read at a time
_RETRIES: "Final[obstore.store.RetryConfig]" = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
PART: Final = 5 * 1024 * 1024  # of a multipart upload: the least that S3 takes


class ContentMissing(Exception):
    """The content store has nothing under this key: it expired or was lost."""


class ContentUnavailable(Exception):
    """The content store did not answer, or has no room."""


class Stored(NamedTuple):
    """What an upload amounted to; the digest is in hex."""

    size: int
    sha256: str


class Found(NamedTuple):
    """An object in a listing."""

    key: str
    size: int
    modified: datetime


class ContentStore:
    """Puts and gets objects by key. Credentials of s3:// come from the environment (AWS_*), as obstore reads it."""

    def __init__(self, url: str) -> None:
        self.directory: Path | None = None
        self._files: Files | None = None
        if url.startswith("file://"):
            self.directory = Path(unquote(urlsplit(url).path))
            self._files = Files(self.directory)
            self._store: obstore.store.ObjectStore = LocalStore(self.directory)
        else:
            self._store = from_url(url, retry_config=_RETRIES)

    async def put(self, key: str, data: bytes) -> None:
        """Write an object; it is there, whole and durable, when this returns. Raises: ContentUnavailable."""
        try:
            if self._files is not None:
                await asyncio.to_thread(_put_file, self._files, key, data)
            else:
                await obstore.put_async(self._store, key, data, use_multipart=False)
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> Stored:
        """Write an object while it comes, with flat memory; nothing is left when this raises.

        Raises: ContentUnavailable, and whatever `chunks` raises, as it is.
        """
        source = _Source(chunks)
        try:
            if self._files is not None:
                await _stream_to_file(self._files, key, source)
            else:
                await self._stream_to_bucket(key, source)
        except Exception as error:
            if source.fault is not None:
                raise source.fault from None
            raise ContentUnavailable(f"content store: {error}") from error
        return Stored(source.size, source.digest.hexdigest())

    async def _stream_to_bucket(self, key: str, source: "_Source") -> None:
        first = b"".join(await source.take(PART))
        if len(first) < PART:  # one request instead of three
            source.digest.update(first)
            await obstore.put_async(self._store, key, first, use_multipart=False)
            return
        parts = _Parts(first, source)
        upload = asyncio.ensure_future(
            obstore.put_async(self._store, key, parts.each(), chunk_size=PART, max_concurrency=2)
        )
        try:
            await asyncio.shield(upload)
        except asyncio.CancelledError:
            parts.stop()
            await _settled(upload)
            await self.delete(key)
            raise

    async def get(self, key: str) -> bytes:
        """Return an object. Raises: ContentMissing, ContentUnavailable."""
        return b"".join([piece async for piece in self.stream(key)])

    async def size(self, key: str) -> int:
        """Return how many bytes an object has. Raises: ContentMissing, ContentUnavailable."""
        try:
            found = await obstore.head_async(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            raise await self._absent(key) from None
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error
        return found["size"]

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield an object's bytes from `start` up to but not including `end`, a piece at a time.

        Raises: ContentMissing before the first piece, ContentUnavailable.
        """
        options: obstore.GetOptions = {}
        if end is not None:
            if end <= start:
                return
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        try:
            result = await obstore.get_async(self._store, key, options=options)
            async for piece in result.stream(min_chunk_size=PIECE):
                yield bytes(piece)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            raise await self._absent(key) from None
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error

    async def _absent(self, key: str) -> ContentMissing | ContentUnavailable:
        """Tell an object that is gone from a store that is: a disk that is not mounted has lost nothing."""
        if self._files is not None:
            if await asyncio.to_thread(self._files.is_marked):
                return ContentMissing(key)
            told = f"{self.directory} has no {MARKER}: if its disk is mounted, run the bootstrap"
            return ContentUnavailable(f"content store: {told}")
        try:  # a bucket that is gone answers a question for an object as if that were
            async for _ in obstore.list(self._store, chunk_size=1):
                break
        except Exception as error:
            return ContentUnavailable(f"content store: {error}")
        return ContentMissing(key)

    async def prepare(self) -> None:
        """Say that this is the store, also when it is empty: for the bootstrap. Raises: ContentUnavailable."""
        if self._files is not None:
            try:
                await asyncio.to_thread(self._files.mark)
            except OSError as error:
                raise ContentUnavailable(f"content store: {error}") from error

    async def delete(self, key: str) -> None:
        """Remove an object; one that is not there is fine. Raises: ContentUnavailable."""
        try:
            await obstore.delete_async(self._store, key)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error

    async def list(self, prefix: str = "") -> AsyncIterator[Found]:
        """Yield what lies under a prefix of whole path segments, in no order. Raises: ContentUnavailable."""
        try:
            async for page in obstore.list(self._store, prefix or None, chunk_size=500):
                for item in page:
                    if item["path"] == MARKER:
                        continue
                    yield Found(item["path"], item["size"], item["last_modified"])
        except Exception as error:
            raise ContentUnavailable(f"content store: {error}") from error


class _Source:
    """Counts the chunks that pass, keeps their digest, and remembers when their own iterator failed."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0
        self.digest = hashlib.sha256()  # fed by whoever writes, off the loop
        self.fault: Exception | None = None

    async def take(self, enough: int) -> list[bytes]:
        """Return chunks of at least `enough` bytes together, or what is left."""
        taken: list[bytes] = []
        size = 0
        try:
            async for chunk in self._chunks:
                taken.append(chunk)
                size += len(chunk)
                if size >= enough:
                    break
        except Exception as error:
            self.fault = error
            raise
        self.size += size
        return taken


def _put_file(files: Files, key: str, data: bytes) -> None:
    upload = files.begin()
    try:
        upload.write(data)
        files.finish(upload, key)
    except BaseException:
        upload.drop()
        raise


async def _stream_to_file(files: Files, key: str, source: _Source) -> None:
    """Write in a thread while the next bytes come; at most two steps are in memory."""
    upload = await asyncio.to_thread(files.begin)
    writing: asyncio.Task[None] | None = None

    def write(step: list[bytes]) -> None:
        whole = b"".join(step)  # each call of either gives up the interpreter and has to wait for it again
        source.digest.update(whole)
        upload.write(whole)

    try:
        while step := await source.take(STEP):
            if writing is not None:
                await asyncio.shield(writing)
            writing = asyncio.create_task(asyncio.to_thread(write, step))
        if writing is not None:
            await asyncio.shield(writing)
        writing = asyncio.create_task(asyncio.to_thread(files.finish, upload, key))
        await asyncio.shield(writing)
    except BaseException:
        await _settled(writing)
        await _settled(asyncio.create_task(asyncio.to_thread(files.drop, upload, key)))
        raise


async def _settled(task: "asyncio.Future[Any] | None") -> None:
    """Wait until nobody writes any more, whoever cancels us meanwhile."""
    while task is not None and not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    if task is not None and not task.cancelled() and (fault := task.exception()):
        logger.warning("upload_failed", error=repr(fault))


class _Parts:
    """The parts of a multipart upload. obstore aborts one whose parts fail, but not one that is cancelled."""

    def __init__(self, first: bytes, source: _Source) -> None:
        self._first = first
        self._source = source
        self._taking: asyncio.Task[list[bytes]] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Make the next part fail, also when it is being waited for."""
        self._stopped = True
        if self._taking is not None:
            self._taking.cancel()

    async def each(self) -> AsyncIterator[bytes]:
        step = self._first
        while step:
            await asyncio.to_thread(self._source.digest.update, step)
            yield step
            if not self._stopped:
                self._taking = asyncio.create_task(self._source.take(PART))
                await asyncio.wait({self._taking})
            if self._stopped or self._taking is None:
                raise InterruptedError("the upload was cancelled")
            step = b"".join(self._taking.result())
