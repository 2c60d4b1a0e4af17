"""Turns: a single send overtakes its own account's batch, however many of that wait."""

import asyncio
import time
from functools import partial

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.next_hop import NextHop, a_next_hop
from tests.chaos.scenario import Size
from tests.controls import runtime
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.world import World

WITHIN = 2.0
EVERY = 0.25


async def run(size: Size, world: World) -> list[Verdict]:
    """Append a batch straight to the log, and send single emails from its first moment until it is drained."""
    count = size.emails * 5
    async with a_next_hop() as hop:
        account = await asyncio.to_thread(world.account, hop.port, "turn")
        await asyncio.sleep(1.2)
        began = time.monotonic()
        asked: list[int] = []
        pile = asyncio.create_task(_batch(world, account, count, asked))
        took, waited = await _singles(Ledger(world), hop, account, pile, asked)
        await eventually(lambda: len(hop.copies) == count + len(took), within=60 + count / 200, every=0.5)
        drained = time.monotonic() - began
    worst = max(took)
    most = max(waited)
    return [
        Verdict(
            "very many batch items wait meanwhile",
            most >= count // 4 and sum(number > 0 for number in waited) >= len(waited) // 2,
            f"up to {most} of {count}, some at {sum(number > 0 for number in waited)} of {len(waited)} single sends",
        ),
        Verdict(
            "a single send leaves within 2 s",
            worst <= WITHIN,
            f"{len(took)} sent with up to {most} batch items waiting: worst {worst:.2f} s, "
            f"median {sorted(took)[len(took) // 2] * 1000:.0f} ms",
        ),
        Verdict(
            "none is lost, none sent twice",
            max(hop.copies.values()) == 1,
            f"{len(hop.copies)} in {drained:.0f} s",
        ),
    ]


async def _batch(world: World, account: str, count: int, asked: list[int]) -> None:
    """Ask for emails that wait for their account's turn, as a batch does; `asked` counts them."""
    item = partial(a_request, release="turn", batch_id="b", account_id=account)
    async with runtime.open_log(world.variables["SENDLOG_NATS_URL"]) as (_, publisher):
        for start in range(0, count, 2000):
            items = [item(f"turn{number}@example.com") for number in range(start, min(start + 2000, count))]
            await asyncio.gather(*(publisher.append(one, guard=0, within=60) for one in items))
            asked.append(len(items))


async def _singles(
    ledger: Ledger, hop: NextHop, account: str, pile: asyncio.Task[None], batch: list[int]
) -> tuple[list[float], list[int]]:
    """Send one email after the other; return how long each took to its first command, and how many waited then."""
    took: list[float] = []
    waited: list[int] = []
    async with ledger.session() as session:
        while not pile.done() or len(hop.copies) < sum(batch) + len(took) or len(took) < 8:
            waited.append(sum(batch) + len(took) - len(hop.copies))
            asked = time.time()
            made = await ledger.send(session, "single@example.com", smtp_account_id=account)
            took.append(await _first_command(hop, made.message_id) - asked)
            await asyncio.sleep(EVERY)
    await pile
    return took, waited


async def _first_command(hop: NextHop, message_id: str) -> float:
    return await eventually(lambda: hop.mail_at.get(message_id), within=120) or 0.0
