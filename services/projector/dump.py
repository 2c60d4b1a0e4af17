"""The read model as lines that are equal when it means the same: what a rebuild is compared by.

Sequences are left out: they are where a record happens to lie, and of an event that was appended twice either
copy may have come first.
"""

import argparse
import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from services.projector import app, rows
from services.projector.settings import Connections
from shared.runtime import postgres, settings
from shared.runtime.log import BrokerUnavailable

SQL: Final = postgres.statements(Path(__file__).with_name("dump.sql"))
_encode: Final = msgspec.json.Encoder(order="sorted").encode


async def dump(pool: asyncpg.Pool) -> AsyncIterator[str]:
    """Yield one line for each email, archived event, content, reference to an object, suppression and count."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        for name in ("emails", "events", "contents", "objects", "suppressions", "counts"):
            async for found in connection.cursor(SQL[name], prefetch=1000):
                yield f"{name} {_canonical(dict(found))}"


async def digest(pool: asyncpg.Pool) -> str:
    """Return the SHA-256 of all lines."""
    total = hashlib.sha256()
    async for line in dump(pool):
        total.update(line.encode() + b"\n")
    return total.hexdigest()


def _canonical(values: dict[str, Any]) -> str:
    if "state" in values:
        state = rows.decode_state(values["state"])
        state.sequence = 0
        values["state"] = state
    # Ids of asyncpg's own UUID class are written as text.
    return _encode(
        {key: str(value) if key == "email_id" else value for key, value in values.items()}
    ).decode()


async def _main(only_hash: bool) -> None:
    wanted = settings.read(Connections, os.environ)
    async with app.connections(wanted) as (pool, _):
        if only_hash:
            sys.stdout.write(await digest(pool) + "\n")
            return
        async for line in dump(pool):
            sys.stdout.write(line + "\n")


def main() -> None:
    """Print the dump, or its hash."""
    parser = argparse.ArgumentParser(prog="dump", description="Print the read model as comparable lines.")
    parser.add_argument("--hash", action="store_true", help="only the SHA-256 of all lines")
    asked = parser.parse_args()
    try:
        asyncio.run(_main(asked.hash))
    except (settings.SettingsError, BrokerUnavailable, asyncpg.PostgresError, *postgres.UNAVAILABLE) as error:
        sys.exit(f"dump: {error!r}" if not str(error) else f"dump: {error}")


if __name__ == "__main__":
    main()
