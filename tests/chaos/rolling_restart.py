"""C13: every service is asked to stop under load, one after the other."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size, pid_of
from tests.chaos.watching import watched
from tests.controls.eventually import eventually
from tests.controls.world import World

SERVICES = ("gateway", "dispatcher", "scheduler", "projector")


async def run(size: Size, world: World) -> list[Verdict]:
    """SIGTERM each service under load: nothing lost, nothing twice, gone within 30 s."""
    ledger = Ledger(world)
    slowest = 0.0
    async with watched(ledger):
        load = asyncio.create_task(ledger.many(size.emails // 4, 16))
        for name in SERVICES * (2 if size.faults > 4 else 1):
            await asyncio.sleep(1.0)
            pid = pid_of(world, name)
            began = time.monotonic()
            os.kill(pid, signal.SIGTERM)
            await eventually(partial(_is_gone, pid), within=60)
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(1.0)
        await load
    statuses = await ledger.settled(within=60)
    mailbox = await asyncio.to_thread(mailbox_messages, world)
    twice = [a.id for a in ledger.accepted.values() if len(mailbox.get(a.message_id, ())) > 1]
    return [
        Verdict("gone within 30 s", slowest <= 30, f"slowest {slowest:.1f} s"),
        await ledger.every_202_is_kept(),
        ledger.none_sticks(statuses),
        Verdict("nothing twice", not twice, f"{len(twice)} of {len(ledger.accepted)}"),
        await ledger.copies_are_explained(mailbox),
        ledger.none_went_backwards(),
    ]


def _is_gone(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
