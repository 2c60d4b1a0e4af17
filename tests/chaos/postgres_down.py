"""C4: Postgres is stopped hard again and again; accepting and sending go on."""

import asyncio
import os
import signal
from contextlib import suppress

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size, kill, pid_of
from tests.controls.world import World


async def run(size: Size, world: World) -> list[Verdict]:
    """Kill Postgres under load, then hold it still: mail leaves all the same, history catches up."""
    ledger = Ledger(world)
    load = asyncio.create_task(ledger.many(size.emails // 4, 16))
    for _ in range(min(5, size.faults)):
        await asyncio.sleep(1.5)
        await kill(world, "postgres")
    await load
    await ledger.settled(within=90)
    held = [pid for pid, command in world.pids().items() if "postgres" in command]
    postmaster = pid_of(world, "postgres")
    try:
        _tell({postmaster, *held}, signal.SIGSTOP)
        await ledger.many(40, 8, to="meanwhile{}@example.com")
        arrived = False
        for _ in range(100):
            await asyncio.sleep(0.1)
            mailbox = await asyncio.to_thread(mailbox_messages, world)
            arrived = all(a.message_id in mailbox for a in ledger.accepted.values())
            if arrived:
                break
    finally:
        _tell({postmaster, *held}, signal.SIGCONT)
    statuses = await ledger.settled(within=90)
    return [
        Verdict("accepting and sending go on without Postgres", arrived, f"{len(ledger.accepted)} arrived"),
        await ledger.every_202_is_kept(),
        ledger.none_sticks(statuses),
        await ledger.copies_are_explained(await asyncio.to_thread(mailbox_messages, world)),
        await ledger.rebuilt_equals_live(),
    ]


def _tell(pids: set[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(
            ProcessLookupError
        ):  # a connection may just have ended; the rest must go on all the same
            os.kill(pid, what)
