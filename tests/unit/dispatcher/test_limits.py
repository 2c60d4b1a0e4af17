"""Shared message limits: whatever the order of reservations, no window is ever exceeded."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher import limits
from services.dispatcher.leases import Leases, share
from shared.runtime.configuration import Limits
from tests.unit.dispatcher.test_stalls import Shelf

START = 1_795_000_000.0


def take(allowed: Limits, steps: list[tuple[float, int]]) -> list[float]:
    """Return all slots handed out when somebody asks at each of these moments for that many."""
    ledger, now, slots = limits.Ledger(), START, []
    for pause, wanted in steps:
        now += pause
        try:
            got, ledger = limits.reserve(ledger, allowed, wanted, now)
        except limits.Full:
            continue
        slots += got
    return slots


STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 200)), max_size=60)


@given(steps=STEPS, rate=st.integers(1, 50))
def test_no_second_holds_more_than_its_limit(steps: list[tuple[float, int]], rate: int) -> None:
    slots = take(Limits(per_second=rate), steps)
    for number in range(len(slots) - rate):
        assert slots[number + rate] - slots[number] >= 1 - 1e-6


@given(steps=STEPS, limit=st.integers(1, 100))
def test_no_day_holds_more_than_its_limit(steps: list[tuple[float, int]], limit: int) -> None:
    slots = take(Limits(per_day=limit, per_second=7), steps)
    days: dict[int, int] = {}
    for slot in slots:
        days[int(slot // 86_400)] = days.get(int(slot // 86_400), 0) + 1
    assert all(count <= limit for count in days.values())


def test_a_full_day_says_when_the_next_begins() -> None:
    ledger = limits.Ledger()
    slots, ledger = limits.reserve(ledger, Limits(per_day=1), 5, START)
    assert len(slots) == 1
    with pytest.raises(limits.Full) as full:
        limits.reserve(ledger, Limits(per_day=1), 1, START)
    assert full.value.limit == "per_day (1)"
    assert full.value.until == (START // 86_400 + 1) * 86_400


def test_the_limit_that_is_narrower_is_the_one_named() -> None:
    ledger = limits.Ledger(next_at=START + 3)
    with pytest.raises(limits.Full) as full:
        limits.reserve(ledger, Limits(per_second=10, per_minute=6), 1, START)
    assert full.value.limit == "per_minute (6)"


def test_a_slot_of_the_day_is_not_lost_by_waiting_for_the_broker_and_not_used_in_the_next_hour() -> None:
    hour = (START // 3600 + 1) * 3600
    assert not limits.is_stale(hour - 600, Limits(per_day=5), hour - 1)
    assert limits.is_stale(hour - 600, Limits(per_day=5, per_second=1), hour - 1)
    assert limits.is_stale(hour - 0.1, Limits(per_day=5), hour + 0.1)
    assert limits.is_stale(hour - 0.1, Limits(per_hour=5, per_second=1), hour + 0.1)


@given(
    limit=st.integers(1, 40),
    order=st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 6)), min_size=1, max_size=60),
)
def test_living_leases_never_add_up_to_more_than_the_account_allows(
    limit: int, order: list[tuple[str, float]]
) -> None:
    leases, now = Leases(), 0.0
    for who, pause in order:
        now += pause
        _, leases = share(leases, who, limit, now)
        alive = [holder for holder in leases.holders.values() if holder.until > now]
        assert sum(holder.connections for holder in alive) <= limit


def test_two_dispatchers_come_to_halves() -> None:
    leases = Leases()
    for _ in range(2):
        _, leases = share(leases, "a", 10, 0.0)
        _, leases = share(leases, "b", 10, 0.0)
    assert {name: holder.connections for name, holder in leases.holders.items()} == {"a": 5, "b": 5}


def test_a_dead_holders_share_is_free_when_its_lease_is_over() -> None:
    _, leases = share(Leases(), "dead", 10, 0.0)
    mine, _ = share(leases, "b", 10, 100.0)
    assert mine == 10


async def test_a_single_send_takes_the_next_moment_before_all_bulk_that_waits() -> None:
    left: list[str] = []
    limiter = limits.Limiter(Shelf(), "k")  # type: ignore[arg-type]

    async def one(name: str) -> None:
        await limiter.slot(Limits(per_second=100), bulk=name != "single")
        left.append(name)

    await asyncio.gather(*(one(name) for name in ("bulk 0", "bulk 1", "bulk 2", "single")))
    assert left == ["bulk 0", "bulk 1", "single", "bulk 2"]  # the next moment was bulk 1's already
