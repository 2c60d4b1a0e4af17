"""A next hop in this process that takes everything, as slowly as it is told, and knows when each message came."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_EHLO: Final = (
    b"250-hop.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 104857600\r\n"
)


@asynccontextmanager
async def its_own(clients: "set[asyncio.Task[None]]", writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Count the running task among the clients for the length of the block, and close its connection."""
    task = asyncio.current_task()
    assert task is not None
    clients.add(task)
    try:
        yield
    except asyncio.CancelledError:  # by `end_all`: asyncio's streams tell of cancelled tasks as of faults
        pass
    finally:
        clients.discard(task)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def end_all(clients: "set[asyncio.Task[None]]") -> None:
    """End these tasks, and wait until they have."""
    ended = list(clients)
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)


class NextHop:
    """`delay` is how many seconds the reply to each message takes; it may be changed at any time.

    `mail_at` maps each Message-ID to when its first MAIL came (Unix seconds); `arrivals` has that of every
    message, in order; `copies` counts them. `most_clients` is how many connections there were at once.
    """

    def __init__(self, port: int, delay: float = 0.0) -> None:
        self.port = port
        self.mail_at: dict[str, float] = {}
        self.arrivals: list[float] = []
        self.copies: Counter[str] = Counter()
        self.most_clients = 0
        self._clients: set[asyncio.Task[None]] = set()
        self._prompt = asyncio.Event()
        self._delay = delay

    @property
    def clients(self) -> int:
        """How many connections there are now."""
        return len(self._clients)

    def answer_at_once(self) -> None:
        """Take no time any more, for the messages under way neither."""
        self._delay = 0.0
        self._prompt.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until it goes away."""
        async with its_own(self._clients, writer):
            self.most_clients = max(self.most_clients, self.clients)
            await self._serve(reader, writer)

    async def hang_up(self) -> None:
        """End every conversation."""
        await end_all(self._clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hop.test\r\n")
        mail_at = 0.0
        with suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"MAIL":
                    mail_at = time.time()
                if verb == b"EHLO":
                    writer.write(_EHLO)
                elif verb == b"DATA":
                    writer.write(b"354 go\r\n")
                    self._took(await reader.readuntil(b"\r\n.\r\n"), mail_at)
                    await self._take_time()
                    writer.write(b"250 2.0.0 queued\r\n")
                elif verb == b"QUIT":
                    break
                else:
                    writer.write(b"250 2.0.0 ok\r\n")

    def _took(self, message: bytes, mail_at: float) -> None:
        start = message.index(b"Message-ID: ") + len(b"Message-ID: ")
        message_id = message[start : message.index(b"\r\n", start)].decode()
        self.mail_at.setdefault(message_id, mail_at)
        self.copies[message_id] += 1
        self.arrivals.append(mail_at)

    async def _take_time(self) -> None:
        if self._delay:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._delay):
                    await self._prompt.wait()


@asynccontextmanager
async def a_next_hop(delay: float = 0.0) -> AsyncIterator[NextHop]:
    """Run one on a free port for the length of the block."""
    hop = NextHop(0, delay)
    server = await asyncio.start_server(hop.serve, "127.0.0.1", 0, limit=2**24, backlog=500)
    hop.port = server.sockets[0].getsockname()[1]
    try:
        yield hop
    finally:
        server.close()
        await hop.hang_up()
