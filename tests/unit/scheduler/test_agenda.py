"""The agenda: what is due is taken at its time, once, and rests end when something comes back."""

import asyncio
from datetime import UTC, datetime, timedelta

from services.scheduler.agenda import Agenda
from services.scheduler.row import Lane

ONE, OTHER = Lane("default", "one"), Lane("default", "other")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def ready(agenda: Agenda, limit: int = 10) -> list[Lane] | None:
    """Return what could be taken without waiting."""
    coroutine = agenda.take(limit)
    try:
        coroutine.send(None)
    except StopIteration as taken:
        lanes: list[Lane] = taken.value
        return lanes
    coroutine.close()
    return None


async def test_a_lane_is_taken_at_its_time_and_not_before() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at + timedelta(seconds=5))
    assert ready(agenda) is None
    clock.at += timedelta(seconds=5)
    assert ready(agenda) == [ONE]
    assert ready(agenda) is None


async def test_the_earliest_of_several_times_holds() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    for seconds in (60, 5, 30):
        agenda.touch(ONE, clock.at + timedelta(seconds=seconds))
    clock.at += timedelta(seconds=6)
    assert ready(agenda) == [ONE]


async def test_a_waiting_worker_is_woken_by_new_work() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    taking = asyncio.create_task(agenda.take(1))
    await asyncio.sleep(0)
    agenda.touch(ONE, clock.at)
    assert await asyncio.wait_for(taking, 0.5) == [ONE]


async def test_a_lane_in_hand_is_not_taken_again_but_not_forgotten() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at)
    assert ready(agenda) == [ONE]
    agenda.touch(ONE, clock.at)
    assert ready(agenda) is None
    agenda.done(ONE)
    assert ready(agenda) == [ONE]


async def test_a_resting_lane_is_left_alone_until_something_comes_back() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at)
    ready(agenda)
    agenda.done(ONE, at=clock.at, rest=60)
    agenda.touch(ONE, clock.at)
    assert ready(agenda) is None
    agenda.free(ONE)
    assert await asyncio.wait_for(agenda.take(1), 1) == [ONE]


async def test_what_comes_back_while_a_lane_is_in_hand_spares_it_the_rest() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at)
    ready(agenda)
    agenda.free(ONE)
    agenda.done(ONE, at=clock.at, rest=60)
    assert await asyncio.wait_for(agenda.take(1), 1) == [ONE]


async def test_a_rest_ends_by_itself() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at)
    ready(agenda)
    agenda.done(ONE, at=clock.at, rest=0.05)
    assert await asyncio.wait_for(agenda.take(1), 1) == [ONE]


async def test_no_more_lanes_are_taken_than_asked_for() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at)
    agenda.touch(OTHER, clock.at)
    assert ready(agenda, 1) == [ONE]
    assert ready(agenda, 1) == [OTHER]


async def test_a_jump_of_the_clock_is_noticed_within_a_second() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at + timedelta(hours=1))
    taking = asyncio.create_task(agenda.take(1))
    await asyncio.sleep(0)
    clock.at += timedelta(hours=1)
    assert await asyncio.wait_for(taking, 1.5) == [ONE]


async def test_lanes_that_could_not_be_looked_at_come_again() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.touch(ONE, clock.at)
    agenda.give_back(ready(agenda) or [], 0.0)
    assert ready(agenda) == [ONE]
