"""Turns: a single send overtakes its own account's batches, however many of their emails wait."""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.next_hop import NextHop, a_next_hop
from tests.chaos.scenario import Size
from tests.controls.eventually import eventually
from tests.controls.world import World

WITHIN = 2.0
EVERY = 0.25
BATCH = 1000


class Single(NamedTuple):
    """One single send: how many emails of the batches waited then, and the seconds to its 202 and to its MAIL."""

    waited: int
    answered: float
    left: float


async def run(size: Size, world: World) -> list[Verdict]:
    """Send batch after batch, and single emails of the same account from the first moment until all are drained."""
    count = size.emails * 5
    async with a_next_hop() as hop:
        account = await asyncio.to_thread(world.account, hop.port, "turn")
        await asyncio.sleep(1.2)
        began = time.monotonic()
        asked: list[int] = []
        pile = asyncio.create_task(_batches(Ledger(world), account, count, asked))
        singles = await _singles(Ledger(world), hop, account, pile, asked)
        everything = count + len(singles)
        await eventually(lambda: len(hop.copies) == everything, within=60 + count / 200, every=0.5)
        drained = time.monotonic() - began
    most = max(one.waited for one in singles)
    some = sum(one.waited > 0 for one in singles)
    return [
        Verdict(
            "very many batch items wait meanwhile",
            most >= count // 4 and some >= len(singles) // 2,
            f"up to {most} of {count}, some at {some} of {len(singles)} single sends",
        ),
        _within("a single send leaves within 2 s", [one.left for one in singles]),
        _within("and is answered within 2 s", [one.answered for one in singles]),
        Verdict(
            "none is lost, none sent twice",
            max(hop.copies.values()) == 1,
            f"{len(hop.copies)} in {drained:.0f} s",
        ),
    ]


def _within(what: str, took: list[float]) -> Verdict:
    took = sorted(took)
    median, p99 = took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000
    detail = f"{len(took)} sent: median {median:.0f} ms, p99 {p99:.0f} ms, worst {took[-1]:.2f} s"
    return Verdict(what, took[-1] <= WITHIN, detail)


async def _batches(ledger: Ledger, account: str, count: int, asked: list[int]) -> None:
    """Send batches one after the other, as a client with very many emails does; `asked` counts their emails."""
    async with ledger.session() as session:
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            body = {
                "smtp_account_id": account,
                "subject": "News for {{ name }}",
                "text": "Hello {{ name }}.\n" * 40,
                "recipients": [
                    {"to": f"turn{number}@example.com", "variables": {"name": f"Nr {number}"}}
                    for number in numbers
                ],
            }
            await _accepted(session, body)
            asked.append(len(numbers))


async def _accepted(session: aiohttp.ClientSession, body: Mapping[str, object]) -> None:
    headers = {"Idempotency-Key": f"turn-{time.monotonic_ns()}"}
    async with session.post("/api/v1/emails/batch", json=body, headers=headers) as answer:
        assert answer.status == 202, f"{answer.status}: {await answer.text()}"


async def _singles(
    ledger: Ledger, hop: NextHop, account: str, pile: asyncio.Task[None], batch: list[int]
) -> list[Single]:
    """Send one email after the other until the batches are drained."""
    made: list[Single] = []
    async with ledger.session() as session:
        while not pile.done() or len(hop.copies) < sum(batch) + len(made) or len(made) < 8:
            waited = sum(batch) + len(made) - len(hop.copies)
            asked = time.time()
            sent = await ledger.send(session, "single@example.com", smtp_account_id=account)
            answered = time.time() - asked
            made.append(Single(waited, answered, await _first_command(hop, sent.message_id) - asked))
            await asyncio.sleep(EVERY)
    await pile
    return made


async def _first_command(hop: NextHop, message_id: str) -> float:
    return await eventually(lambda: hop.mail_at.get(message_id), within=120) or 0.0
