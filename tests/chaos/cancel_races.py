"""C12: cancels race the dispatcher, dispatchers race for claims, a holder stalls beside its take-over."""

import asyncio
import random

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size, another
from tests.controls.world import World


async def run(size: Size, world: World) -> list[Verdict]:
    """Cancel at once what was just accepted, with three dispatchers; stall one for 40 s meanwhile."""
    count = 1000 if size.emails > 1000 else 100
    stall = 40.0 if size.emails > 1000 else 0.0
    async with another(world, "dispatcher", 2) as dispatchers:
        ledger = Ledger(world)
        cancelled: set[str] = set()
        late: set[str] = set()

        async with ledger.session() as session:

            async def one(number: int) -> None:
                made = await ledger.send(session, f"race{number}@example.com")
                await asyncio.sleep(random.choice((0, 0, 0.002, 0.01)))
                async with session.delete(f"/api/v1/emails/{made.id}") as answer:
                    assert answer.status in (200, 409), await answer.text()
                    (cancelled if answer.status == 200 else late).add(made.id)

            for start in range(0, count, 50):
                await asyncio.gather(*(one(number) for number in range(start, start + 50)))
        if stall:
            load = asyncio.create_task(ledger.many(400, 16, to="slow+{}@example.com"))
            await asyncio.sleep(1)
            dispatchers[0].pause()
            await asyncio.sleep(stall)
            dispatchers[0].resume()
            await load
        statuses = await ledger.settled(within=240)
        mailbox = await asyncio.to_thread(mailbox_messages, world)
        arrived = {a.id for a in ledger.accepted.values() if a.message_id in mailbox}
        told = {i for i, status in statuses.items() if status == "cancelled"}
        return [
            Verdict(
                "cancelled and sent never meet",
                not (cancelled & arrived) and told >= cancelled and not (told & arrived),
                f"{len(cancelled)} cancelled, {len(late)} too late, {len(cancelled & arrived)} both",
            ),
            Verdict(
                "too late means sent",
                all(statuses.get(i) == "sent" for i in late),
                f"{sum(statuses.get(i) == 'sent' for i in late)} of {len(late)}",
            ),
            ledger.none_sticks(statuses, ("sent", "cancelled")),
            await ledger.copies_are_explained(mailbox, must_arrive=False),
            await ledger.rebuilt_equals_live(),
        ]
