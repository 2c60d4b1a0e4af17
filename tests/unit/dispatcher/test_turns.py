"""Fewer connections than dispatchers with mail: they take turns, and never have one more than there are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher import leases as leases_
from services.dispatcher.leases import Lease, Leases, gives_way, living, share
from shared.runtime import process
from shared.runtime.buckets import Changed
from tests.controls.eventually import eventually

START = 1_795_000_000.0
NAMES = ("a", "b", "c")
STEPS = st.lists(st.tuples(st.floats(0, 3), st.sampled_from(NAMES), st.booleans()), min_size=1, max_size=60)


@given(steps=STEPS, limit=st.integers(1, 5))
def test_whoever_asks_never_more_than_the_limit_in_all(
    steps: list[tuple[float, str, bool]], limit: int
) -> None:
    leases, now = Leases(), START
    for pause, name, has_mail in steps:
        now += pause
        _, leases = share(leases, name, limit, now, now if has_mail else 0.0)
        assert sum(holder.connections for holder in living(leases, now).values()) <= limit


@given(limit=st.integers(3, 20))
def test_nobody_gives_way_where_there_is_one_for_everybody(limit: int) -> None:
    leases = Leases()
    for _ in range(3):
        for name in NAMES:
            assert not gives_way(leases, name, limit, START + 10)
            _, leases = share(leases, name, limit, START, START)


def test_whoever_has_no_mail_gives_way_at_once_and_whoever_has_after_its_turn() -> None:
    for asks, wait in ((0.0, 0.01), (START, leases_.TURN + 0.01)):
        _, leases = share(Leases(), "a", 1, START, asks)
        _, leases = share(leases, "b", 1, START, START)
        assert gives_way(leases, "a", 1, START + wait)
        assert not gives_way(leases, "a", 1, START + wait / 2) or not asks


def test_what_is_free_is_left_to_who_has_asked_for_longest() -> None:
    _, leases = share(Leases(), "a", 1, START, START)
    for number, name in enumerate("bc"):
        _, leases = share(leases, name, 1, START + number, START + number)
    leases = Leases({**leases.holders, "a": leases_.Holder(0, START + 6, START, START + 3)})
    assert share(leases, "a", 1, START + 4, START + 3)[0] == 0
    assert share(leases, "c", 1, START + 4, START + 1)[0] == 0
    assert share(leases, "b", 1, START + 4, START)[0] == 1


class Entry:
    """The bucket, with one entry everybody sees at once."""

    def __init__(self) -> None:
        self._held: tuple[int, Leases] | None = None

    def peek(self, key: str) -> Leases | None:
        return self._held[1] if self._held else None

    async def read(self, key: str) -> tuple[int, Leases] | None:
        held = self._held
        await asyncio.sleep(0)
        return held

    async def put(self, key: str, value: Leases, *, revision: int) -> int:
        known = self._held[0] if self._held else 0
        if revision != known:
            raise Changed(key)
        self._held = (known + 1, value)
        return known + 1


class Dispatcher:
    """One that always has mail; its session ends only when it is let go."""

    def __init__(self, connections: int) -> None:
        self.connections, self.has_mail, self.has_sessions = connections, True, False
        self.share, self.turns = 0, 0

    def set_share(self, connections: int) -> None:
        self.turns += connections > 0 and not self.share
        self.share = connections


@asynccontextmanager
async def keeping(*dispatchers: Dispatcher) -> AsyncIterator[None]:
    bucket: Any = Entry()
    tasks = [
        asyncio.create_task(Lease(bucket, "key", str(number), one).keep())
        for number, one in enumerate(dispatchers)
    ]
    try:
        yield
    finally:
        await process.end(*tasks)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_, "TURN", 0.05)
    monkeypatch.setattr(leases_, "LOOK", 0.01)


@pytest.mark.parametrize("connections", [1, 2])
async def test_everybody_with_mail_has_a_turn_soon(connections: int) -> None:
    dispatchers = [Dispatcher(connections) for _ in NAMES]

    def everybody() -> bool:
        assert sum(one.share for one in dispatchers) <= connections
        return all(one.turns >= 2 for one in dispatchers)

    async with keeping(*dispatchers):
        await eventually(everybody, within=2.0, every=0.002)


async def test_nobody_has_a_turn_before_the_last_session_of_the_one_before_has_ended() -> None:
    first, second = Dispatcher(1), Dispatcher(1)
    second.has_mail = False
    async with keeping(first, second):
        await eventually(lambda: first.share == 1)
        first.has_sessions = second.has_mail = True
        await eventually(lambda: first.share == 0)
        with pytest.raises(AssertionError):
            await eventually(lambda: second.share, within=0.3)
        first.has_sessions = False
        await eventually(lambda: second.share == 1)
