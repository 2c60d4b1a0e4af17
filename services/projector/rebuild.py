"""Rebuild the read model from the command line: `python -m services.projector.rebuild`."""

import argparse
import asyncio
import os
import sys
import time

import asyncpg
import msgspec

from services.projector import app, rebuilding
from services.projector.settings import Connections
from shared.runtime import postgres, settings
from shared.runtime.log import BrokerUnavailable

_EVERY = 0.2  # seconds between two lines of progress
_encode = msgspec.json.Encoder().encode


class _Bar:
    """Tells how far the work is: a bar for people, lines of JSON for programs."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._told_at = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told_at < _EVERY and done < total:
            return
        self._told_at = now
        if self._as_json:
            sys.stdout.write(_encode({"done": done, "total": total}).decode() + "\n")
            sys.stdout.flush()
        elif sys.stderr.isatty():
            filled = int(40 * done / max(total, 1))
            sys.stderr.write(f"\r[{'#' * filled}{'.' * (40 - filled)}] {done:,} of {total:,} events")
            sys.stderr.flush()

    def end(self, report: rebuilding.Report) -> None:
        """Tell what came of it."""
        if self._as_json:
            sys.stdout.write(_encode({"finished": True, **msgspec.to_builtins(report)}).decode() + "\n")
            return
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        counts = ", ".join(f"{count:,} {name}" for name, count in msgspec.to_builtins(report).items())
        sys.stdout.write(f"rebuilt: {counts}\n")


async def _main(workspace: str | None, bar: _Bar) -> None:
    wanted = settings.read(Connections, os.environ)
    async with app.connections(wanted) as (pool, log):
        report = await rebuilding.rebuild(
            pool, log, workspace=workspace, content_days=wanted.content_days, on_progress=bar
        )
    bar.end(report)


def main() -> None:
    """Rebuild, and exit 1 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="rebuild", description="Make the projections again from archive and log."
    )
    parser.add_argument("--workspace", help="only this workspace's emails")
    parser.add_argument("--json", action="store_true", help="progress and result as lines of JSON")
    asked = parser.parse_args()
    try:
        asyncio.run(_main(asked.workspace, _Bar(asked.json)))
    except (settings.SettingsError, BrokerUnavailable, asyncpg.PostgresError, *postgres.UNAVAILABLE) as error:
        sys.exit(f"rebuild: {error!r}" if not str(error) else f"rebuild: {error}")


if __name__ == "__main__":
    main()
