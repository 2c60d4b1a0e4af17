"""C3: the broker does not answer for a while."""

import asyncio
import os
import signal
import time

from tests.chaos.ledger import Ledger, Verdict, mailbox_messages
from tests.chaos.scenario import Size, pid_of
from tests.controls.world import World


async def run(size: Size, world: World) -> list[Verdict]:
    """Stop the broker's clock: 503 with Retry-After within 2 s, no 202, then all alone back."""
    silent = min(60.0, size.seconds)
    ledger = Ledger(world)
    await ledger.many(50, 8)
    broker = pid_of(world, "nats-server")
    os.kill(broker, signal.SIGSTOP)
    answers: list[tuple[int, float, bool]] = []
    try:
        ended = time.monotonic() + silent
        async with ledger.session() as session:
            while time.monotonic() < ended:
                began = time.monotonic()
                body = {"to": "down@example.com", "subject": "x", "text": "x"}
                async with session.post("/api/v1/emails/send", json=body) as answer:
                    took = time.monotonic() - began
                    answers.append((answer.status, took, "Retry-After" in answer.headers))
    finally:
        os.kill(broker, signal.SIGCONT)
    began = time.monotonic()
    async with ledger.session() as session:
        await ledger.send(session, "after@example.com", within=30)
    recovered = time.monotonic() - began
    await ledger.many(50, 8, to="later{}@example.com")
    statuses = await ledger.settled(within=60)
    slowest = max(took for _, took, _ in answers)
    return [
        Verdict(
            "503 with Retry-After within 2 s, no 202",
            all(status == 503 and retry for status, _, retry in answers) and slowest <= 2.2,
            f"{len(answers)} answers, slowest {slowest:.2f} s, {sorted({a[0] for a in answers})}",
        ),
        Verdict("recovers alone within 10 s", recovered <= 10, f"{recovered:.1f} s"),
        ledger.none_sticks(statuses),
        await ledger.copies_are_explained(await asyncio.to_thread(mailbox_messages, world)),
    ]
