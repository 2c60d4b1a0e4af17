"""C7: a relay that refuses, drops and forgets by dice, until it comes to its senses: nothing is lost."""

import asyncio

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.relay import a_relay, judged, unavailable
from tests.chaos.scenario import FULL, Size
from tests.controls.world import World

DICE = (
    "--seed 7 --p-4xx .1 --p-5xx .05 --p-drop-data .05 --p-drop-after-commit .05 --p-421 .02 --p-garbage .02"
)


async def run(size: Size, world: World) -> list[Verdict]:
    """Send small and large mail through it; the full form waits for the retries, through a relay that behaves."""
    if reason := unavailable():
        return [Verdict("the whole scenario", None, reason)]
    count = min(1000, size.emails)
    ledger = Ledger(world)
    async with a_relay(world.home, *DICE.split()) as relay:
        account = await asyncio.to_thread(world.account, relay.port, "dice")
        await asyncio.sleep(1.2)
        # Addresses of its own: whom it refuses for good is suppressed from then on.
        await ledger.many(count, 16, "dice{}@x.test", smtp_account_id=account)
        await ledger.many(
            count // 20, 4, "dicelarge{}@x.test", smtp_account_id=account, text="line\n" * 150_000
        )
        statuses = await ledger.settled(within=60, final=("sent", "failed", "deferred"))
        journal = relay.journal()
    first = ledger.none_sticks(statuses, ("sent", "failed", "deferred"))
    if size.emails < FULL.emails:
        return [first, *judged(journal, ledger.accepted, statuses)]
    async with a_relay(world.home, port=relay.port, journal=relay.path) as relay:
        statuses = await ledger.settled(within=180)
        journal = relay.journal()
    return [
        first,
        ledger.none_sticks(statuses, ("sent", "failed")),
        *judged(journal, ledger.accepted, statuses),
        await ledger.rebuilt_equals_live(),
    ]
