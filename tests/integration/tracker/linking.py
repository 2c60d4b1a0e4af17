"""What stands at the other end of a linked mailbox: who takes its messages, and the link that brings them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from services.tracker import imap, imap_reading
from services.tracker.imap_places import Holding, Place
from services.tracker.imap_reading import Link, Shared
from shared.runtime import outgoing, process
from shared.runtime.buckets import Bucket

LOOPBACK = outgoing.parse_networks("127.0.0.0/8")


class Taken:
    """Takes messages and remembers them; can be made to fail, or to stay with a message."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.at: list[datetime | None] = []
        self.faults: dict[bytes, list[Exception]] = {}
        self.stays = False

    async def take(
        self, raw: bytes, envelope: Sequence[str], at: datetime | None = None, *, keep_all: bool = True
    ) -> object:
        assert not keep_all  # what is not ours is private
        for part, faults in self.faults.items():
            if part in raw and faults:
                raise faults.pop(0)
        self.raw.append(raw)
        self.at.append(at)
        if self.stays:
            await asyncio.Event().wait()
        return None

    @property
    def names(self) -> list[str]:
        return [raw.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode() for raw in self.raw]


def a_message(name: str, size: int = 0) -> bytes:
    return f"From: a@b.test\r\nSubject: {name}\r\n\r\nhello\r\n{'x' * 70 + chr(13) + chr(10)}".encode() + (
        b"y" * 70 + b"\r\n"
    ) * (size // 72)


@asynccontextmanager
async def reading(
    server: imap.Server, places: Bucket[Place], taken: Taken, me: str = "me"
) -> AsyncIterator[asyncio.Task[None]]:
    shared = Shared(taken, LOOPBACK, asyncio.Semaphore(imap_reading.AT_ONCE))
    link = Link(server, Holding(places, "w.a", me), shared, structlog.get_logger())
    task = asyncio.create_task(link.read())
    try:
        yield task
    finally:
        await process.end(task)


class Counted(list[bytes]):
    """Forgets what it is given, but for how much it was."""

    def __init__(self) -> None:
        super().__init__()
        self.many: set[bytes] = set()

    def append(self, item: bytes) -> None:
        name = item.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0]
        assert name not in self.many, f"{name!r} twice"
        self.many.add(name)

    def __len__(self) -> int:
        return len(self.many)
