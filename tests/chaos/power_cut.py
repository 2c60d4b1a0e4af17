"""C2: the power goes under load. What was not on disk is gone; no 202 may be among it.

The store and the database lie on a file system in a file; a raw copy of that file is what a power cut
would have left. Needs root and loop devices.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from shared.runtime import log as log_
from shared.runtime.publisher import Publisher, Unconfirmed
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size
from tests.controls import runtime, servers
from tests.controls.emails import a_request
from tests.controls.world import ROOT, World

TOOL = ROOT.parent / "shared" / "testkit" / "powerloss" / "powerloss.sh"


class Disk:
    """A file system whose power can be cut."""

    def __init__(self, megabytes: int) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sendlog-power-"))
        self._directory.chmod(0o711)
        self.path = self._directory / "disk"
        self._tool("mount", str(megabytes))
        self.path.chmod(0o711)

    def cut(self) -> None:
        """Copy what is on disk at this instant."""
        self._tool("cut")

    def restore(self) -> None:
        """Put the disk back as it was at the cut; nothing may use it."""
        self._tool("restore")

    def remove(self) -> None:
        """Unmount and delete."""
        with suppress(subprocess.CalledProcessError):
            self._tool("umount")
        shutil.rmtree(self._directory, ignore_errors=True)

    def _tool(self, verb: str, *more: str) -> None:
        subprocess.run(
            ["bash", str(TOOL), verb, str(self.path), *more], check=True, capture_output=True, timeout=120
        )


def unavailable() -> str | None:
    """Return why the power cannot be cut here, if it cannot."""
    if not TOOL.exists():
        return f"{TOOL} is not there: the test kit is not beside the checkout"
    if os.geteuid() != 0:
        return "cutting the power needs root"
    try:
        Disk(32).remove()
    except (subprocess.SubprocessError, OSError) as error:
        return f"no loop-mounted file system can be made here: {error}"
    return None


async def run(size: Size, world: World | None) -> list[Verdict]:
    """Cut the power under load, again and again; then show that without `sync_interval: always` mail is lost.

    Brings its own worlds, on disks of their own.
    """
    if reason := await asyncio.to_thread(unavailable):
        return [Verdict("the whole scenario", None, reason)]
    verdicts = []
    for number in range(10 if size.emails > 1000 else 1):
        verdicts += await _whole_world(number)
    verdicts += await _without_sync()
    return verdicts


async def _whole_world(number: int) -> list[Verdict]:
    disk = await asyncio.to_thread(Disk, 1000)
    home = disk.path / "home"
    home.mkdir(mode=0o711)
    try:
        world = World(home)
        await asyncio.to_thread(world.start)
        ledger = Ledger(world)
        load = asyncio.create_task(ledger.many(100_000, 48))
        await asyncio.sleep(4 + number % 3)
        promised = dict(ledger.accepted)  # what was answered before the cut began
        # Still while the disk is copied: a copy of a moving disk shows no single instant.
        world.signal_all(signal.SIGSTOP)
        await asyncio.to_thread(disk.cut)
        world.signal_all(signal.SIGKILL)
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
        await asyncio.sleep(1)
        await asyncio.to_thread(disk.restore)
        world = World(home)
        await asyncio.to_thread(world.start)
        after = Ledger(world)
        after.accepted = promised
        try:
            statuses = await after.settled(within=150)
            return [
                await after.every_202_is_kept(),
                after.none_sticks(statuses),
                await after.copies_are_explained(
                    await asyncio.to_thread(mailbox_messages, world), must_arrive=False
                ),
                await after.rebuilt_equals_live(),
            ]
        finally:
            await asyncio.to_thread(world.stop)
    finally:
        await asyncio.to_thread(disk.remove)


async def _without_sync() -> list[Verdict]:
    """The same cut under a broker that syncs every two minutes must lose mail, or this test shows nothing."""
    lost = {}
    for setting in ("always", "2m"):
        disk = await asyncio.to_thread(Disk, 512)
        try:
            lost[setting] = await _cut_broker(disk, setting)
        finally:
            await asyncio.to_thread(disk.remove)
    return [
        Verdict(
            "no confirmed record is lost with sync_interval: always",
            lost["always"] == 0,
            f"{lost['always']} lost",
        ),
        Verdict("with sync_interval: 2m records are lost", lost["2m"] > 0, f"{lost['2m']} lost"),
    ]


async def _cut_broker(disk: Disk, sync: str) -> int:
    """Return how many confirmed records a cut under load loses."""
    given = servers.NatsServer(disk.path).nats.configuration.read_text()
    conf = disk.path.with_name("nats.conf")  # not on the disk that loses its power
    conf.write_text(given.replace("sync_interval: always", f"sync_interval: {sync}"))
    broker = _Broker(disk.path, conf)
    await asyncio.to_thread(broker.start)
    await runtime.bootstrap(broker.url)
    confirmed: list[str] = []
    async with runtime.open_log(broker.url) as (_, publisher):
        load = [asyncio.create_task(_publish(publisher, confirmed)) for _ in range(32)]
        await asyncio.sleep(3)
        promised = list(confirmed)
        await asyncio.to_thread(disk.cut)
        broker.kill()
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    await asyncio.to_thread(disk.restore)
    await asyncio.to_thread(broker.start)
    try:
        client = await log_.connect(broker.url, "after")
        emails = log_.Log(client)
        try:
            await emails.open()
        except Exception:
            return len(promised)  # the stream itself is gone
        found = [await emails.history("default", email_id) for email_id in promised]
        await client.close()
        return sum(not history for history in found)
    finally:
        broker.kill()


class _Broker(servers.NatsServer):
    def __init__(self, directory: Path, conf: Path) -> None:
        super().__init__(directory)
        at = self.command.index(str(self.nats.configuration))
        self.command[at] = str(conf)


async def _publish(publisher: Publisher, confirmed: list[str]) -> None:
    while True:
        item = a_request()
        with suppress(Unconfirmed):
            await publisher.append(item, guard=0, within=5)
            confirmed.append(item.email_id)
