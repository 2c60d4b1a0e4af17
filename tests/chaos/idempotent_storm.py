"""C11: many equal requests at once, the gateway killed between store and reply."""

import asyncio
import uuid

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size, kill
from tests.controls.world import World


async def run(size: Size, world: World) -> list[Verdict]:
    """100 equal requests at once for each of 200 keys: one email a key, whatever dies meanwhile."""
    keys, repeats = (200, 100) if size.emails > 1000 else (10, 30)
    ledger = Ledger(world)
    many: dict[str, set[str]] = {}

    async with ledger.session() as session:

        async def one(key: str) -> None:
            made = await ledger.send(session, f"{key}@example.com", key=key)
            many.setdefault(key, set()).add(made.id)

        for batch in range(keys // 10):
            names = [f"k{batch}-{number}-{uuid.uuid4().hex[:6]}" for number in range(10)]
            calls = [asyncio.create_task(one(name)) for name in names for _ in range(repeats)]
            if batch % 4 == 0:
                await asyncio.sleep(0.05)
                await kill(world, "gateway")
            await asyncio.gather(*calls)
    statuses = await ledger.settled(within=60)
    mailbox = await asyncio.to_thread(mailbox_messages, world)
    several = [key for key, ids in many.items() if len(ids) > 1]
    return [
        Verdict(
            "one email a key",
            not several and len(many) == keys,
            f"{len(many)} keys, {len(several)} with more",
        ),
        ledger.none_sticks(statuses),
        Verdict(
            "one copy a key",
            sum(len(mailbox.get(a.message_id, ())) for a in ledger.accepted.values()) == keys,
            f"{len(ledger.accepted)} emails",
        ),
        await ledger.copies_are_explained(mailbox),
    ]
