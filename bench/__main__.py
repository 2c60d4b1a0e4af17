"""Run the benchmarks: `python -m bench [ROW …] [--quick] [--json FILE]`; without names all rows.

Prints the table and writes JSON (default bench.json). Takes some minutes; run it on a quiet machine.
"""

import argparse
import asyncio
import platform
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop

from bench import batch, multipart, parts, postfix, sending, tracking
from bench.figures import Row, table, write
from tests.controls.world import Sink, World

Measure = Callable[[], Awaitable[list[Row]]]


async def _sending(names: set[str], count: int, rows: list[Row]) -> None:
    """Run rows that need a whole world, in one world."""
    world, sink = World(), Sink()
    try:
        await asyncio.to_thread(world.start)
        account = await asyncio.to_thread(partial(world.account, sink.port, limits={"connections": 20}))
        await asyncio.sleep(1.5)
        if "idle" in names:  # first: what the others leave waiting is still being sent after them
            rows.append(await sending.idle(world))
        if "e2e" in names:
            await sending.end_to_end(world, sink, account, 64, count // 10)  # warm up
            control = await postfix.rate(count // 5)
            for connections in (64, 256):
                row = await sending.end_to_end(world, sink, account, connections, count)
                rows.append(postfix.beside(row, control))
        if "tracked" in names:
            rows += await tracking.on_and_off(world, sink, account, count)
        if "latency" in names:
            rows.append(await sending.latency(world, sink, account))
        if "accept" in names:
            rows += await sending.durable_accept(world, count)
        if "batch" in names:
            rows += await batch.batch_accept(world, count * 24 // 20_000)
        if "multipart" in names:
            rows += await multipart.upload(world, max(3, count // 2000))
    finally:
        await asyncio.to_thread(world.stop)
        sink.stop()


def _start() -> Row:
    home = Path(tempfile.mkdtemp(prefix="sendlog-world-"))
    home.chmod(0o711)
    try:
        first = World(home)
        first.start()
        first.stop()
        return sending.start(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


PART_ROWS = parts.ROWS | tracking.ROWS
# Two worlds: while mail is accepted alone those who read it stand still, and the broker asks after what they hold.
WORLDS = (("idle", "e2e", "tracked", "latency"), ("accept", "batch", "multipart"))
WORLD_ROWS = WORLDS[0] + WORLDS[1]


async def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"some of: {', '.join((*WORLD_ROWS, 'start', *PART_ROWS))}")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the size: for a look, not for a figure"
    )
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    names = set(options.rows or (*WORLD_ROWS, "start", *PART_ROWS))
    scale = 10 if options.quick else 1
    rows: list[Row] = []
    try:
        for world in WORLDS:
            if wanted := names.intersection(world):
                await _sending(wanted, 20_000 // scale, rows)
        if "start" in names:
            rows.append(await asyncio.to_thread(_start))
        for name, measure in PART_ROWS.items():
            if name in names:
                rows += await measure(scale)
    finally:  # what was measured before a row failed is not lost with it
        print(f"{platform.machine()}, Python {platform.python_version()}, everything on one machine\n")
        print(table(rows))
        write(rows, options.json)


if __name__ == "__main__":
    uvloop.run(main())
