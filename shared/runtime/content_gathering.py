"""Objects written as files many at once: what comes while others are being written is the next group.

One thread writes and names a group, its fsyncs wait side by side, and the directory has one for all of them. Each
by itself took almost twice the processor time and, of eight writers, half as long again.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final, NamedTuple

from shared.runtime.content_files import Files, Upload

MOST: Final = 32
SYNCS: Final = 8


class _Object(NamedTuple):
    key: str
    data: bytes
    done: "asyncio.Future[None]"


class Gathering:
    """Puts whole objects, one group at a time."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._waiting: list[_Object] = []
        self._writing: asyncio.Task[None] | None = None
        self._syncs = ThreadPoolExecutor(SYNCS, "content-sync")

    async def put(self, key: str, data: bytes) -> None:
        """Write an object; it is durable under its key when this returns. Raises: OSError, ValueError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Object(key, data, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            faults: Sequence[Exception | None]
            try:
                faults = await asyncio.to_thread(self._put, group)
            except Exception as error:  # nobody may wait for ever
                faults = [error] * len(group)
            for item, fault in zip(group, faults, strict=True):
                if item.done.done():  # nobody waits any more
                    continue
                if fault is None:
                    item.done.set_result(None)
                else:
                    item.done.set_exception(fault)

    def _put(self, group: Sequence[_Object]) -> list[Exception | None]:
        """Write a group; where one fails each is tried by itself, so that none pays for another."""
        uploads: list[Upload] = []
        try:
            for item in group:
                uploads.append(self._files.begin())
                uploads[-1].write(item.data)
            self._settle(uploads)
            self._files.name(list(zip(uploads, (item.key for item in group), strict=True)))
        except Exception as error:
            for upload in uploads:
                upload.drop()
            return [error] if len(group) == 1 else [self._put([item])[0] for item in group]
        return [None] * len(group)

    def _settle(self, uploads: Sequence[Upload]) -> None:
        if len(uploads) == 1:
            uploads[0].settle()
            return
        settling = [self._syncs.submit(upload.settle) for upload in uploads]
        wait(settling)  # all of them: a file must not be closed while it is being written to disk
        for one in settling:
            one.result()
