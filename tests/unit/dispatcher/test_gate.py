"""Who may claim next: a single send never stands behind its own account's batch."""

import asyncio

from services.dispatcher.gate import Gate


async def test_single_sends_go_before_bulk_and_each_in_its_order() -> None:
    gate, entered = Gate(1), []
    await gate.enter()

    async def one(name: str, *, bulk: bool) -> None:
        await gate.enter(bulk=bulk)
        entered.append(name)
        gate.leave()

    async with asyncio.TaskGroup() as group:
        for name, bulk in (("bulk 1", True), ("bulk 2", True), ("single 1", False), ("single 2", False)):
            group.create_task(one(name, bulk=bulk))
        await asyncio.sleep(0)
        gate.leave()
    assert entered == ["single 1", "single 2", "bulk 1", "bulk 2"]


async def test_a_place_given_to_somebody_who_just_went_away_is_given_on() -> None:
    gate = Gate(1)
    await gate.enter()
    gone, stays = (asyncio.create_task(gate.enter(bulk=bulk)) for bulk in (False, True))
    await asyncio.sleep(0)
    gate.leave()
    gone.cancel()
    async with asyncio.timeout(1):
        await stays


async def test_no_more_are_inside_than_the_limit_of_the_moment() -> None:
    gate = Gate(2)
    tasks = [asyncio.create_task(gate.enter()) for _ in range(6)]
    await asyncio.sleep(0)
    assert sum(task.done() for task in tasks) == 2
    gate.set_limit(4)
    gate.leave()
    await asyncio.sleep(0)
    assert sum(task.done() for task in tasks) == 5
    gate.set_limit(1)
    gate.leave()
    await asyncio.sleep(0)
    assert sum(task.done() for task in tasks) == 5
    for task in tasks:
        task.cancel()


async def test_whoever_went_away_is_no_longer_counted_among_who_waits() -> None:
    gate = Gate(0)
    gone = asyncio.create_task(gate.enter(bulk=True))
    await asyncio.sleep(0)
    assert gate.waiting == 1
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert gate.waiting == 0
