"""The short form of every chaos scenario, one after the other in one world."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos import power_cut, scenarios
from tests.chaos.ledger import Verdict
from tests.chaos.scenario import SHORT
from tests.controls.world import World

# These bring worlds of their own or take minutes also in short; `make chaos` runs them.
ELSEWHERE = {"power_cut", "shared_limits", "disk_full_log", "disk_full_postgres", "disk_full_content"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    started = World()
    started.start()
    yield started
    started.stop()


@pytest.mark.chaos
@pytest.mark.parametrize("name", [name for name in scenarios.ALL if name not in ELSEWHERE])
async def test_no_invariant_breaks(name: str, world: World) -> None:
    _, run = scenarios.ALL[name]
    judge(await run(SHORT, world))


@pytest.mark.chaos
async def test_no_202_is_lost_in_a_power_cut() -> None:
    if reason := await asyncio.to_thread(power_cut.unavailable):
        pytest.skip(reason)
    judge(await power_cut.run(SHORT, None))


def judge(verdicts: list[Verdict]) -> None:
    """A scenario in which nothing could be checked is a skipped test, never a passed one."""
    assert verdicts
    assert not [str(verdict) for verdict in verdicts if verdict.broken]
    if all(verdict.skipped for verdict in verdicts):
        pytest.skip("; ".join(verdict.detail for verdict in verdicts))
