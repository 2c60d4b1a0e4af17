"""Ten emails of 50 MB at once through one dispatcher process: it never holds more than its budget of them."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from services.dispatcher import budget
from shared.events.record import Record
from tests.controls import dispatching, runtime
from tests.controls.attachments import a_store, stored
from tests.controls.dispatching import an_account, names
from tests.controls.emails import a_request
from tests.controls.eventually import eventually

EMAILS: Final = 10
SIZE: Final = 50 * 1024 * 1024

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak of a process's memory is read from /proc"
)


class Hop(asyncio.Protocol):
    """A next hop that keeps nothing, and reads no message before all of them have begun."""

    begun: list["Hop"]
    taken: list[tuple[int, int]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.announced, self.count, self.tail, self.in_message = 0, 0, b"", False
        transport.write(b"220 hop ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        if not self.in_message:
            self.answer(data)
            return
        self.count += len(data)
        self.tail = (self.tail + data)[-5:]
        if self.tail == b"\r\n.\r\n":
            self.in_message = False
            self.taken.append((self.announced, self.count - len(b".\r\n")))
            self.transport.write(b"250 2.0.0 queued\r\n")

    def answer(self, data: bytes) -> None:
        for line in data.split(b"\r\n")[:-1]:
            if found := re.search(rb" SIZE=(\d+)", line):
                self.announced = int(found[1])
            if line == b"DATA":
                self.in_message, self.count = True, 0
                self.transport.write(b"354 go\r\n")
                self.wait_for_all()
            elif line.startswith(b"EHLO"):
                self.transport.write(b"250-hop\r\n250-PIPELINING\r\n250 SIZE 104857600\r\n")
            else:
                self.transport.write(b"250 ok\r\n")

    def wait_for_all(self) -> None:
        self.begun.append(self)
        if len(self.begun) < EMAILS:
            self.transport.pause_reading()
        else:
            for hop in self.begun[:-1]:
                hop.transport.resume_reading()


@asynccontextmanager
async def a_hop() -> AsyncIterator[tuple[int, type[Hop]]]:
    kind = type("OneHop", (Hop,), {"begun": [], "taken": []})
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], kind
    finally:
        server.close()


def memory(pid: int, what: str) -> int:
    """Return VmRSS, or VmHWM since the last reset, in bytes."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def test_ten_large_emails_at_once_stay_within_the_budget(clean_nats: str, home: Path) -> None:
    await runtime.bootstrap(clean_nats)
    store = a_store(home)
    first = await stored(store, os.urandom(SIZE))
    async with runtime.open_log(clean_nats) as (log, publisher), a_hop() as (port, hop):
        await dispatching.store(log, an_account(port))
        process = dispatching.a_dispatcher(home, clean_nats)
        await asyncio.to_thread(process.start, within=60)

        async def all_sent(items: list[Record]) -> bool:
            return all([(await names(log, item))[-1] == "sent" for item in items])

        try:
            before = memory(process.pid, "VmRSS")
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")
            items = [a_request(f"r{n}@world.test", attachments=(first,)) for n in range(EMAILS)]
            for item in items:
                await publisher.append(item, guard=0)
            await eventually(lambda: all_sent(items), within=90)
            grown = memory(process.pid, "VmHWM") - before
        finally:
            await asyncio.to_thread(process.stop)
    assert len(hop.taken) == EMAILS
    assert all(announced == count for announced, count in hop.taken)
    assert grown <= budget.SHARE, f"{grown / 2**20:.0f} MiB"
