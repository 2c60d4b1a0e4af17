"""C3: the broker does not answer for a while."""

import asyncio
import os
import re
import signal
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.mailbox import mailbox_messages
from tests.chaos.scenario import Size, pid_of
from tests.controls.world import World

SENDERS = 64
ROOM_MB = 100


class Answer(NamedTuple):
    """What one request got while the broker was silent."""

    status: int
    took: float
    retry_after: bool


async def run(size: Size, world: World) -> list[Verdict]:
    """Stop the broker's clock: 503 with Retry-After within 2 s, no 202, then all alone back."""
    silent = min(60.0, size.seconds)
    ledger = Ledger(world)
    await ledger.many(50, 8)
    broker, gateway = pid_of(world, "nats-server"), pid_of(world, "gateway")
    before = largest = _resident(gateway)
    os.kill(broker, signal.SIGSTOP)
    answers: list[Answer] = []
    try:
        senders = asyncio.gather(*(_knock(ledger, silent, answers) for _ in range(SENDERS)))
        while not senders.done():
            await asyncio.wait([senders], timeout=0.2)
            largest = max(largest, _resident(gateway))
        await senders
    finally:
        os.kill(broker, signal.SIGCONT)
    began = time.monotonic()
    async with ledger.session() as session:
        await ledger.send(session, "after@example.com", within=30)
    recovered = time.monotonic() - began
    await ledger.many(50, 8, to="later{}@example.com")
    statuses = await ledger.settled(within=60)
    slowest, grown = max(answer.took for answer in answers), (largest - before) / 1e6
    return [
        Verdict(
            "503 with Retry-After within 2 s, no 202",
            all(answer.status == 503 and answer.retry_after for answer in answers) and slowest <= 2.2,
            f"{len(answers)} answers, slowest {slowest:.2f} s, {sorted({a.status for a in answers})}",
        ),
        Verdict(f"the gateway grows by less than {ROOM_MB} MB", grown < ROOM_MB, f"{grown:.1f} MB"),
        Verdict("recovers alone within 10 s", recovered <= 10, f"{recovered:.1f} s"),
        ledger.none_sticks(statuses),
        await ledger.copies_are_explained(await asyncio.to_thread(mailbox_messages, world)),
    ]


async def _knock(ledger: Ledger, seconds: float, answers: list[Answer]) -> None:
    """Send one email after the other and note each answer; a connection that breaks is an answer of 0."""
    ended = time.monotonic() + seconds
    body = {"to": "down@example.com", "subject": "x", "text": "x" * 10_000}
    async with ledger.session() as session:
        while time.monotonic() < ended:
            began = time.monotonic()
            try:
                async with session.post("/api/v1/emails/send", json=body) as answer:
                    status, retry_after = answer.status, "Retry-After" in answer.headers
            except (aiohttp.ClientError, TimeoutError):
                status, retry_after = 0, False
            answers.append(Answer(status, time.monotonic() - began, retry_after))


def _resident(pid: int) -> int:
    """Return a process' resident memory in bytes. Raises: OSError when it is gone."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
