"""Emails the log has let go of, read from the projection: reports arrive days later, hits years."""

from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from shared.events import fold
from shared.runtime import postgres

SQL: Final = postgres.statements(Path(__file__).with_name("archive.sql"))
WITHIN: Final = 5.0
_decode: Final = msgspec.msgpack.Decoder(fold.State).decode


class Archive:
    """Reads the projection; nothing of it is on the path of a request."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def state(self, workspace: str, email_id: str) -> fold.State | None:
        """Return what is known of the email, or None. Raises: one of postgres.UNAVAILABLE."""
        found = await self._pool.fetchval(SQL["find_state"], workspace, email_id, timeout=WITHIN)
        return None if found is None else _decode(found)
