"""200 seeds of a world in which everything goes wrong: nothing is lost, stuck, contradictory or unexplained."""

import os

import pytest

from tests.simulation import loop
from tests.simulation.invariants import broken
from tests.simulation.world import World

SEEDS = int(os.environ.get("SENDLOG_TEST_SEEDS", "200"))
BLOCK = 20


@pytest.mark.parametrize("block", range(0, SEEDS, BLOCK))
def test_no_seed_breaks_an_invariant(block: int) -> None:
    for seed in range(block, min(block + BLOCK, SEEDS)):
        world = World(seed)
        loop.run(world.run())
        problems = [problem for email_id in world.emails for problem in broken(world, email_id)]
        assert not problems, f"seed {seed}: {problems}"
