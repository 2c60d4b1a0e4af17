"""The test kit's chaos server as a process, and a tap on the wire that leads to it.

The journal says what the server decided; the tap says what anybody on the way could have read.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port
from tests.chaos.ledger import Accepted, Verdict
from tests.chaos.next_hop import end_all, its_own
from tests.controls.world import ROOT

CHAOS = ROOT.parent / "shared" / "testkit" / "mailworld" / "chaos_smtp.py"


def unavailable() -> str | None:
    """Return why there is no relay here, if there is none."""
    return None if CHAOS.exists() else f"{CHAOS} is not there: the test kit is not beside the checkout"


class Relay:
    """One chaos server, its files in `home`; with `port` and `journal` it goes on where another one stopped."""

    def __init__(
        self, home: Path, *options: str, port: int | None = None, journal: Path | None = None
    ) -> None:
        self.port = port or free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="relay-", dir=home))
        self.path = journal or self._directory / "journal.jsonl"
        self._kept = self._directory / "kept"
        words = ["--port", str(self.port), "--journal", str(self.path), "--store", str(self._kept), *options]
        self._process = subprocess.Popen(
            [sys.executable, str(CHAOS), *words], stdout=subprocess.PIPE, cwd=self._directory
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def journal(self) -> list[dict[str, Any]]:
        """Return every decision the relay has written down."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def kept(self) -> list[bytes]:
        """Return the bytes of every message that the relay owns now."""
        return [path.read_bytes() for path in sorted(self._kept.glob("*.eml"))]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


@asynccontextmanager
async def a_relay(
    home: Path, *options: str, port: int | None = None, journal: Path | None = None
) -> AsyncIterator[Relay]:
    """Run one for the length of the block."""
    relay = await asyncio.to_thread(lambda: Relay(home, *options, port=port, journal=journal))
    try:
        yield relay
    finally:
        await asyncio.to_thread(relay.stop)


def judged(
    journal: list[dict[str, Any]], accepted: dict[str, Accepted], statuses: dict[str, str]
) -> list[Verdict]:
    """Hold what became of each email against what the relay says it took.

    A copy is explained only by an earlier one whose 250 the relay never sent.
    """
    stored: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in journal:
        if line.get("stored"):
            stored[str(line["mid"])].append(line)
    took = {made.id: stored[made.message_id] for made in accepted.values() if made.message_id in stored}
    counts = Counter(statuses.get(email_id, "missing") for email_id in accepted)
    unsent = [i for i in accepted if statuses.get(i) == "sent" and i not in took]
    unsaid = [
        i for i, lines in took.items() if statuses.get(i) == "failed" and any(x["reply"] for x in lines)
    ]
    unexplained = [i for i, lines in took.items() if len(lines) - 1 > sum(x["reply"] is None for x in lines)]
    unequal = [i for i, lines in took.items() if len({x["sha"] for x in lines}) > 1]
    extra = sum(len(lines) - 1 for lines in took.values())
    return [
        Verdict("sent means stored, failed means not", not unsent and not unsaid, str(dict(counts))),
        Verdict(
            "copies are explained and equal",
            not unexplained and not unequal,
            f"{extra} extra, {len(unexplained)} unexplained, {len(unequal)} unequal",
        ),
    ]


class Tap:
    """Passes bytes on between a client and a server, and keeps what the client said."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.heard = bytearray()
        self._clients: set[asyncio.Task[None]] = set()
        self._target = target

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        async with its_own(self._clients, writer):
            with suppress(OSError):
                theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
                async with its_own(self._clients, ours):
                    await asyncio.gather(
                        self._copy(reader, ours, keep=True), self._copy(theirs, writer, keep=False)
                    )

    async def hang_up(self) -> None:
        """End every conversation."""
        await end_all(self._clients)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if keep:
                    self.heard += data
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def a_tap(target: int) -> AsyncIterator[Tap]:
    """Listen in on the way to a port of this machine for the length of the block."""
    tap = Tap(target)
    server = await asyncio.start_server(tap.pass_on, "127.0.0.1", 0)
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        server.close()
        await tap.hang_up()
