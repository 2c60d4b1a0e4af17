"""C1: any process is killed with -9 at random, servers included, while mail is sent."""

import asyncio
import time

from tests.chaos.ledger import Ledger, Verdict, mailbox_messages
from tests.chaos.scenario import Size, kill
from tests.controls.world import World


async def run(size: Size, world: World) -> list[Verdict]:
    """Kill a random process every 3 s under load; every 202 must be in the mailbox and `sent`."""
    ledger = Ledger(world)
    killed: dict[str, int] = {}

    async def killer() -> None:
        for _ in range(size.faults):
            await asyncio.sleep(3)
            name = await kill(world)
            killed[name] = killed.get(name, 0) + 1

    load = asyncio.create_task(ledger.many(size.emails, 32, over=3.0 * size.faults))
    await killer()
    await load
    began = time.monotonic()
    statuses = await ledger.settled(within=150)
    took = time.monotonic() - began
    await asyncio.sleep(2)
    return [
        Verdict("killed", sum(killed.values()) == size.faults, str(killed)),
        await ledger.every_202_is_kept(),
        ledger.none_sticks(statuses),
        Verdict("what was held leaves within 60 s", took <= 60, f"all ended {took:.0f} s after the load"),
        await ledger.copies_are_explained(await asyncio.to_thread(mailbox_messages, world)),
        await ledger.rebuilt_equals_live(),
        await ledger.no_workspace_sees_another(),
        ledger.none_went_backwards(),
        ledger.no_secret_in_logs(),
    ]
