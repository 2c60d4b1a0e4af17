"""Limits: three dispatchers keep one account's limits together, though one is killed twice; they share one connection."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from shared.events import delivery
from shared.events.record import Record
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.next_hop import NextHop, a_next_hop
from tests.chaos.scenario import FULL, Size, another, kill, pid_of
from tests.controls import runtime
from tests.controls.eventually import eventually
from tests.controls.servers import Process
from tests.controls.world import World

PER_SECOND = 10
CHUNK = 5  # half a second's worth: limits.CHUNK_SECONDS
STALL = 3.0
# A dispatcher reserves at most a twentieth of a day at once; three may be killed with one in hand.
DAY_CHUNKS = 20


async def run(size: Size, world: World) -> list[Verdict]:
    """Send more than the limits allow, kill dispatchers meanwhile, and count what arrives when."""
    full = size.emails >= FULL.emails
    return [
        *await _per_second(world, seconds=40 if full else 6),
        *await _broker_stalls(world, seconds=20 if full else 6),
        *await _per_day(world, limit=1000 if full else 100),
        *await _one_connection(world, count=16 if full else 6, delay=8.0 if full else 1.0),
    ]


async def _per_second(world: World, seconds: int) -> list[Verdict]:
    count = PER_SECOND * seconds
    async with (
        _an_account(world, per_second=PER_SECOND) as (hop, account),
        another(world, "dispatcher", 2) as two,
    ):
        ledger = Ledger(world)
        began = time.monotonic()
        await ledger.many(count, 16, smtp_account_id=account)
        for quarter in (1, 2):
            await eventually(lambda share=quarter: len(hop.copies) >= count * share / 4, within=60 + seconds)  # type: ignore[misc]
            await _kill_and_start(two[0])
        await eventually(lambda: len(hop.copies) == count, within=120 + 3 * seconds, every=0.2)
        took = time.monotonic() - began
        statuses = await ledger.settled(within=60)
    fullest = max(_within(hop.arrivals, start, 1.0) for start in hop.arrivals)
    claims = sum(hop.copies.values()) - len(hop.copies)
    return [
        Verdict(
            f"never more than {PER_SECOND} and a chunk in any second",
            fullest <= PER_SECOND + CHUNK,
            f"{fullest} in the fullest, {count} in {took:.0f} s, one of three dispatchers killed twice",
        ),
        Verdict(
            "the limit is used",
            took <= 2 * count / PER_SECOND + 30,
            f"{count / took:.1f} of {PER_SECOND} a second",
        ),
        ledger.none_sticks(statuses),
        Verdict("copies only of killed dispatchers' claims", claims <= 2 * CHUNK, f"{claims} extra"),
    ]


async def _broker_stalls(world: World, seconds: int) -> list[Verdict]:
    """Stop the broker for some seconds, twice, while claims and slots wait for its answers."""
    count = PER_SECOND * seconds
    async with _an_account(world, per_second=PER_SECOND) as (hop, account):
        ledger = Ledger(world)
        await ledger.many(count, 16, smtp_account_id=account)
        stalled = 0
        for share in (1, 2):
            await eventually(lambda part=share: len(hop.copies) >= count * part / 4, within=60 + seconds)  # type: ignore[misc]
            before = len(hop.copies)
            await _pause_broker(world)
            stalled += count - before > PER_SECOND
        await eventually(lambda: len(hop.copies) == count, within=120 + 3 * seconds, every=0.2)
        statuses = await ledger.settled(within=60)
    fullest = max(_within(hop.arrivals, start, 1.0) for start in hop.arrivals)
    return [
        Verdict(
            "nor after the broker has stalled",
            fullest <= PER_SECOND + CHUNK and stalled == 2,
            f"{fullest} in the fullest second, {stalled} stalls of {STALL:.0f} s with mail waiting",
        ),
        ledger.none_sticks(statuses),
    ]


async def _pause_broker(world: World) -> None:
    broker = pid_of(world, "nats-server")
    os.kill(broker, signal.SIGSTOP)
    try:
        await asyncio.sleep(STALL)
    finally:
        os.kill(broker, signal.SIGCONT)


async def _per_day(world: World, limit: int) -> list[Verdict]:
    if _to_midnight() < timedelta(minutes=5):
        return [
            Verdict(
                "never more than the day allows", None, "midnight UTC is too near: two days would be used"
            )
        ]
    chunk = max(1, limit // DAY_CHUNKS)
    async with _an_account(world, per_day=limit) as (hop, account), another(world, "dispatcher", 2) as two:
        ledger = Ledger(world)
        load = asyncio.create_task(ledger.many(limit + limit // 5, 16, smtp_account_id=account))
        for quarter in (1, 2):
            await eventually(lambda share=quarter: len(hop.copies) >= limit * share / 4, within=60)  # type: ignore[misc]
            await _kill_and_start(two[0])
        await kill(world, "dispatcher")
        await load
        await eventually(lambda: _all_ended(ledger), within=120, every=0.5)
        sent = sum(hop.copies.values())
        reasons = await _reasons(ledger)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    wrong = [found for found in reasons if not found.tells("per_day", str(limit), midnight)]
    return [
        Verdict("never more than the day allows", sent <= limit, f"{sent} of {limit}"),
        Verdict(
            "short by no more than what killed dispatchers held",
            sent >= limit - 3 * chunk,
            f"{limit - sent} short",
        ),
        Verdict(
            "the limit and the time are told", not wrong and bool(reasons), f"{len(reasons)}; {wrong[:1]}"
        ),
    ]


async def _one_connection(world: World, count: int, delay: float) -> list[Verdict]:
    """Three dispatchers with mail for one connection to a relay that takes its time: they wait for their turns."""
    async with (
        _an_account(world, delay=delay, connections=1) as (hop, account),
        another(world, "dispatcher", 2),
    ):
        ledger = Ledger(world)
        began = time.monotonic()
        await ledger.many(count, count, smtp_account_id=account)
        await eventually(lambda: len(hop.copies) == count, within=60 + 3 * count * delay, every=0.2)
        took = time.monotonic() - began
        statuses = await ledger.settled(within=60 + delay)
        async with runtime.open_log(world.variables["SENDLOG_NATS_URL"]) as (log, _):
            histories = [await log.history("default", email_id) for email_id in ledger.accepted]
    again = [sum(_had_no_slot(item) for item in history) for history in histories]
    return [
        Verdict("one connection is one connection", hop.most_clients == 1, f"{hop.most_clients} at once"),
        Verdict(
            "where three share one, an email without it circulates once at most",
            max(again) <= 1,
            f"{count} in {took:.0f} s at {delay:.0f} s each, at most {max(again)} times",
        ),
        ledger.none_sticks(statuses),
    ]


def _had_no_slot(item: Record) -> bool:
    return isinstance(item.event, delivery.Deferred) and item.event.reason.code == "no_slot"


class Waiting(msgspec.Struct):
    """What the API says of an email that waits."""

    status: str
    status_reason: dict[str, Any] | None
    next_attempt_at: datetime | None

    def tells(self, limit: str, number: str, until: datetime) -> bool:
        """Say whether the reason names the limit, its number and the time, and the time is that one."""
        reason, at = self.status_reason or {}, self.next_attempt_at
        message = str(reason.get("message"))
        named = reason.get("code") == "rate_limited" and limit in message and number in message
        return named and at is not None and abs(at - until) < timedelta(minutes=2)


async def _reasons(ledger: Ledger) -> list[Waiting]:
    found = []
    async with ledger.session() as session:
        for email_id in list(ledger.accepted):
            async with session.get(f"/api/v1/emails/{email_id}") as answer:
                told = msgspec.convert((await answer.json())["data"], Waiting, strict=False)
            if told.status == "deferred":
                found.append(told)
    return found


async def _all_ended(ledger: Ledger) -> bool:
    statuses = await ledger.statuses()
    return all(statuses.get(email_id) in ("sent", "deferred") for email_id in ledger.accepted)


async def _kill_and_start(process: Process) -> None:
    await asyncio.to_thread(process.kill)
    await asyncio.to_thread(process.start)


def _within(times: list[float], start: float, seconds: float) -> int:
    return sum(start <= at < start + seconds for at in times)


def _to_midnight() -> timedelta:
    now = datetime.now(UTC)
    return timedelta(days=1) - timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)


@asynccontextmanager
async def _an_account(world: World, delay: float = 0.0, **limits: int) -> AsyncIterator[tuple[NextHop, str]]:
    async with a_next_hop(delay) as hop:
        account = await asyncio.to_thread(lambda: world.account(hop.port, "limited", limits=limits))
        await asyncio.sleep(1.2)
        yield hop, account
