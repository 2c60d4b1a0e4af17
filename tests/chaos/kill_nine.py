"""C1: any process is killed with -9 at random, servers included, while mail is sent."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size, children, kill
from tests.chaos.watching import watched
from tests.controls.eventually import eventually
from tests.controls.world import World


async def run(size: Size, world: World) -> list[Verdict]:
    """Kill a random process every 3 s under load; every 202 must be in the mailbox and `sent`."""
    ledger = Ledger(world)
    names = sorted(set(children(world).values()))
    killed: Counter[str] = Counter()
    async with watched(ledger):
        load = asyncio.create_task(ledger.many(size.emails, 32, over=3.0 * size.faults))
        for name in _victims(names, size.faults):
            await asyncio.sleep(3)
            await _kill(world, name, killed)
        await load
    began = time.monotonic()
    statuses = await ledger.settled(within=150)
    took = time.monotonic() - began
    await asyncio.sleep(2)
    return [
        _hit(killed, names, size.faults),
        await ledger.every_202_is_kept(),
        ledger.none_sticks(statuses),
        Verdict("what was held leaves within 60 s", took <= 60, f"all ended {took:.0f} s after the load"),
        await ledger.copies_are_explained(await asyncio.to_thread(mailbox_messages, world)),
        await ledger.rebuilt_equals_live(),
        await ledger.no_workspace_sees_another(),
        ledger.none_went_backwards(),
        ledger.no_secret_in_logs(),
    ]


def _victims(names: list[str], faults: int) -> list[str]:
    """Return whom to kill: each once in a random order, then again."""
    drawn: list[str] = []
    while len(drawn) < faults:
        drawn += random.sample(names, len(names))
    return drawn[:faults]


async def _kill(world: World, name: str, killed: Counter[str]) -> None:
    """Kill it, as soon as it is there; one that does not come back within 20 s was not killed."""

    async def done() -> bool:
        return await kill(world, name) == name

    with suppress(AssertionError):
        await eventually(done, within=20, every=0.1)
        killed[name] += 1


def _hit(killed: Counter[str], names: list[str], faults: int) -> Verdict:
    """Every fault hit a process, and every process was hit if there were faults enough."""
    spared = [name for name in names if not killed[name]] if faults >= len(names) else []
    detail = f"{killed.total()} of {faults}: {dict(killed)}; spared {spared}"
    return Verdict("killed", killed.total() == faults and not spared, detail)
