"""Run the chaos scenarios: `python -m tests.chaos [NAME …] [--short]`; prints each invariant.

Exits 1 if one broke, and 2 if none did but some could not be checked: a run that proves less than all is no success.
"""

import argparse
import asyncio
import signal
import sys
import time
import traceback

import uvloop

from tests.chaos import scenarios
from tests.chaos.ledger import Verdict
from tests.chaos.scenario import FULL, SHORT, a_world


async def main() -> int:
    """Run what was asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(scenarios.ALL)}")
    parser.add_argument("--short", action="store_true", help="the short form, as in `make test`")
    options = parser.parse_args()
    task = asyncio.current_task()
    assert task is not None
    # As on Ctrl-C: whatever was started is stopped first.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    size = SHORT if options.short else FULL
    broken = 0
    unchecked: list[str] = []
    for name in options.names or scenarios.ALL:
        code, run = scenarios.ALL[name]
        began = time.monotonic()
        try:
            async with a_world() as world:
                verdicts = await run(size, world)
        except Exception:
            traceback.print_exc()
            verdicts = [Verdict("ran to its end", False, "it raised; see above")]
        print(f"\n{code} {name} ({time.monotonic() - began:.0f} s)")
        for verdict in verdicts:
            print(f"  {verdict}", flush=True)
        broken += sum(verdict.broken for verdict in verdicts)
        unchecked += [f"{name}: {verdict}" for verdict in verdicts if verdict.skipped]
    print(f"\n{broken} invariants broken, {len(unchecked)} NOT CHECKED")
    print("".join(f"  NOT CHECKED {line}\n" for line in unchecked), end="")
    return 1 if broken else 2 if unchecked else 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
