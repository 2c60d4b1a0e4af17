"""C6: one account's relay answers after 30 s and very many of its emails wait; another account notices nothing."""

import asyncio
import os
import statistics
import time
from collections import Counter
from functools import partial
from typing import NamedTuple

import asyncpg

from services.dispatcher import lanes
from shared.runtime.content import ContentStore
from tests.chaos.ledger import Accepted, Ledger, Verdict
from tests.chaos.next_hop import NextHop, a_next_hop
from tests.chaos.scenario import FULL, Size
from tests.controls import runtime
from tests.controls.attachments import stored
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.world import World

SLOW = 30.0
PER_SECOND = 50
CONNECTIONS = 50
FILE = 4 * 1024 * 1024
LARGE_EVERY = 25
# What a dispatcher holds unasked, and what the scheduler releases beside: twice the connections.
HELD = CONNECTIONS * (lanes.QUEUE_PER_CONNECTION + 2)
READERS = ("dispatcher", "scheduler", "projector")
# Beside the ratio, for the short form: nobody's mail may wait for another account's relay.
NEVER_ABOVE = 2.0


class Latency(NamedTuple):
    """Seconds from the request to its email's first SMTP command."""

    p50: float
    p99: float
    worst: float

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1000:.1f}, p99 {self.p99 * 1000:.1f}, worst {self.worst * 1000:.0f} ms"


async def run(size: Size, world: World) -> list[Verdict]:
    """Measure the fast account alone, beside the slow one, and alone again when that has come to its end."""
    seconds, waiting = size.seconds / 2, size.emails * 5
    async with a_next_hop() as fast, a_next_hop(SLOW) as slow:
        ours = await asyncio.to_thread(world.account, fast.port, "fast")
        theirs = await asyncio.to_thread(_many_connections, world, slow.port)
        await asyncio.sleep(1.2)
        measure = partial(_measure, Ledger(world), fast, ours)
        await measure(2)
        before = await measure(seconds)
        await _pile_up(world, theirs, waiting)
        beside = await measure(seconds)
        out, slow_open = len(slow.arrivals), slow.clients
        slow.answer_at_once()
        await eventually(lambda: len(slow.copies) == waiting, within=60 + waiting / 200, every=0.5)
        again = await _no_slots(world, theirs, waiting)
        await asyncio.sleep(2)
        after = await measure(seconds)
    return [
        _ratio(size, before, beside, after),
        Verdict(
            "very many of the other account wait meanwhile, with files, and hold many connections",
            waiting - out >= waiting // 2 and slow_open >= CONNECTIONS // 2,
            f"{waiting - out} of {waiting}, {slow_open} connections of {CONNECTIONS}",
        ),
        Verdict(
            f"no mail of the fast account waits {NEVER_ABOVE:.0f} s",
            beside.worst < NEVER_ABOVE,
            f"{beside}",
        ),
        Verdict(
            "without a slot an email circulates once",
            max(again.values(), default=0) == 1,
            f"{len(again)} of {waiting} had no slot, at most {max(again.values(), default=0)} times",
        ),
        Verdict("none is sent twice", max(slow.copies.values()) == 1, f"{len(slow.copies)} of {waiting}"),
    ]


def _ratio(size: Size, before: Latency, beside: Latency, after: Latency) -> Verdict:
    p50 = beside.p50 / statistics.mean((before.p50, after.p50))
    p99 = beside.p99 / statistics.mean((before.p99, after.p99))
    detail = f"p50 x {p50:.2f}, p99 x {p99:.2f}; alone {before}; beside {beside}; alone again {after}"
    enough = size.emails >= FULL.emails  # the short form has too few samples for a ratio
    return Verdict(
        "the other's latency within +- 20 %", (p50 <= 1.2 and p99 <= 1.2) if enough else None, detail
    )


async def _measure(ledger: Ledger, hop: NextHop, account: str, seconds: float) -> Latency:
    """Send at an even pace and return how long each email took to its first SMTP command."""
    began: dict[str, float] = {}
    async with ledger.session() as session:

        async def one(at: float) -> None:
            await asyncio.sleep(at)
            asked = time.time()
            made: Accepted = await ledger.send(session, "fast@example.com", smtp_account_id=account)
            began[made.message_id] = asked

        await asyncio.gather(*(one(number / PER_SECOND) for number in range(int(seconds * PER_SECOND))))
    await eventually(lambda: began.keys() <= hop.mail_at.keys(), within=60)
    took = sorted(hop.mail_at[message_id] - asked for message_id, asked in began.items())
    return Latency(statistics.median(took), took[int(len(took) * 0.99)], took[-1])


def _many_connections(world: World, port: int) -> str:
    return world.account(port, "slow", limits={"connections": CONNECTIONS})


async def _pile_up(world: World, account: str, count: int) -> None:
    """Ask for that many single sends at once, and wait until all of them wait.

    Waiting is what they do when they are in the table and in the history, too: bringing them there is work.
    """
    file = await stored(ContentStore(f"file://{world.home}/content"), os.urandom(FILE))
    async with runtime.open_log(world.variables["SENDLOG_NATS_URL"]) as (log, publisher):
        for start in range(0, count, 2000):
            items = [
                a_request(
                    f"slow{number}@example.com",
                    account_id=account,
                    attachments=(file,) if number % LARGE_EVERY == 0 else (),
                )
                for number in range(start, min(start + 2000, count))
            ]
            await asyncio.gather(*(publisher.append(item, guard=0, within=60) for item in items))

        async def quiet() -> bool:
            infos = [await log.client.jetstream().consumer_info("EMAILS", name) for name in READERS]
            behind = sum(info.num_pending or 0 for info in infos)
            held, *working = [info.num_ack_pending or 0 for info in infos]
            return behind == 0 and held <= HELD and sum(working) == 0

        await eventually(quiet, within=60 + count / 500, every=0.2)


async def _no_slots(world: World, account: str, count: int) -> Counter[str]:
    """Return how often each email of the account was deferred for want of a slot, once all of them are archived."""
    database = await asyncpg.connect(world.variables["SENDLOG_DATABASE_URL"])

    async def all_sent() -> bool:
        sent: int = await database.fetchval(
            "SELECT count(*) FROM projector.emails WHERE account_id = $1 AND status = 'sent'", account
        )
        return sent == count

    try:
        await eventually(all_sent, within=60 + count / 500, every=0.5)
        rows = await database.fetch(
            """SELECT email_id::text, count(*)
               FROM projector.events JOIN projector.emails USING (email_id, workspace)
               WHERE account_id = $1 AND type = 'sendlog.email.deferred.v1'
                 AND convert_from(payload, 'UTF8')::jsonb #>> '{reason,code}' = 'no_slot'
               GROUP BY 1""",
            account,
        )
    finally:
        await database.close()
    return Counter(dict(map(tuple, rows)))
