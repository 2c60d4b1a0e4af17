"""C9: everything happens three times and in any order; and the seeded simulation of the dispatcher.

Each seed is a world of deaths, stalls and lost answers; what it wrote is then told thrice and shuffled,
to the fold and, for some, to a real projector.
"""

import asyncio
import random
import shutil
from concurrent.futures import ProcessPoolExecutor

import asyncpg

from services.bootstrap import database
from services.projector import dump, store
from shared.events import fold, record
from tests.chaos.ledger import Verdict
from tests.chaos.scenario import Size
from tests.controls import servers
from tests.controls.world import World as LocalWorld
from tests.simulation import invariants, loop
from tests.simulation.world import World

PROJECTED = 40


async def run(size: Size, world: LocalWorld | None) -> list[Verdict]:
    """Live through every seed, then tell its records thrice in any order."""
    blocks = [(start, min(start + 100, size.seeds)) for start in range(0, size.seeds, 100)]
    running = asyncio.get_running_loop()
    with ProcessPoolExecutor(2) as pool:
        found = await asyncio.gather(*(running.run_in_executor(pool, live, *block) for block in blocks))
    broken = [problem for block in found for problem in block]
    return [
        Verdict("no seed breaks an invariant", not broken, f"{size.seeds} seeds, {broken[:3]}"),
        await _projected(min(PROJECTED, size.seeds)),
    ]


def live(first: int, last: int) -> list[str]:
    """Return what is broken in these seeds."""
    problems = []
    for seed in range(first, last):
        world = World(seed)
        loop.run(world.run())
        problems += [f"seed {seed}: {p}" for i in world.emails for p in invariants.broken(world, i)]
        if fold.fold(_thrice(world.log.records, seed)).finals != fold.fold(world.log.records).finals:
            problems.append(f"seed {seed}: the fold depends on the order")
    return problems


def _thrice(records: list[record.Record], seed: int) -> list[record.Record]:
    told = list(records) * 3
    random.Random(seed).shuffle(told)
    return told


async def _projected(seeds: int) -> Verdict:
    """Project the same lives once in order, and thrice shuffled in small batches: the dumps are equal."""
    directory = servers.own_directory()
    postgres = servers.PostgresServer(directory)
    try:
        await asyncio.to_thread(postgres.start)
        lives = await asyncio.to_thread(_lives, seeds)
        once = await _dump_of(postgres, "once", [lives])
        told = _thrice(lives, 1)
        thrice = await _dump_of(postgres, "thrice", [told[n : n + 50] for n in range(0, len(told), 50)])
    finally:
        await asyncio.to_thread(postgres.kill)
        shutil.rmtree(directory, ignore_errors=True)
    return Verdict("projected thrice in any order is projected once", once == thrice, f"{len(lives)} records")


def _lives(seeds: int) -> list[record.Record]:
    records: list[record.Record] = []
    for seed in range(seeds):
        world = World(seed)
        loop.run(world.run())
        first = len(records)
        records += [item._replace(sequence=first + item.sequence) for item in world.log.records]
    return records


async def _dump_of(postgres: servers.PostgresServer, name: str, batches: list[list[record.Record]]) -> str:
    admin = await asyncpg.connect(postgres.url)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    url = postgres.postgres.url(database=name)
    await database.migrate(url, None)
    async with asyncpg.create_pool(url, min_size=1, max_size=4) as pool:
        for batch in batches:
            await store.project(pool, batch)
        return await dump.digest(pool)
