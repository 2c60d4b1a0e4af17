"""C14: records that cannot be read, in the middle of mail that can."""

import asyncio
import uuid

from shared.runtime import log as log_
from shared.runtime import topology
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.scenario import Size
from tests.controls.world import World

POISON = (
    ("sendlog.email.requested.v1", b"{not json", "requested.now"),
    ("sendlog.email.requested.v9", b"{}", "requested.now"),
    ("sendlog.email.teleported.v1", b"{}", "teleported"),
    ("", b"\xff\x00\xff", "deferred"),
)


async def run(size: Size, world: World) -> list[Verdict]:
    """Append poison between emails: each consumer sets it aside once, its neighbours go on."""
    ledger = Ledger(world)
    client = await log_.connect(world.variables["SENDLOG_NATS_URL"], "chaos")
    stream = client.jetstream()
    before = (await stream.stream_info(topology.DEAD_LETTERS)).state.messages
    load = asyncio.create_task(ledger.many(min(2000, size.emails), 16))
    for kind, data, tail in POISON * 5:
        head = {"ce-type": kind, "ce-id": uuid.uuid4().hex} if kind else {}
        await stream.publish(f"emails.default.{uuid.uuid4()}.{tail}", data, headers=head)
        await asyncio.sleep(0.02)
    await load
    statuses = await ledger.settled(within=60)
    dead, pending = 0, {}
    for _ in range(40):  # what is set aside is acked a moment after it is a dead letter
        await asyncio.sleep(0.5)
        dead = (await stream.stream_info(topology.DEAD_LETTERS)).state.messages - before
        pending = {
            durable.name: (await stream.consumer_info(topology.LOG, durable.name)).num_ack_pending
            for durable in topology.CONSUMERS
        }
        if dead >= 35 and not any(pending.values()):
            break
    await client.close()
    # The projector meets all 20, the dispatcher the 10 it filters for, the scheduler 5.
    return [
        ledger.none_sticks(statuses),
        Verdict("each consumer sets its poison aside", dead == 35, f"{dead} dead letters of 35"),
        Verdict("nothing is held", not any(pending.values()), str(pending)),
    ]
