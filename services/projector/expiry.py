"""Content goes when its time is over: row by row in small steps, stored objects first.

An object whose row is gone would never be found again, so a row goes only after its object.
"""

from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import structlog

from services.projector import metrics, rows, store
from shared.runtime import postgres
from shared.runtime.content import ContentStore

logger = structlog.get_logger(__name__)
SQL: Final = postgres.statements(Path(__file__).with_name("expiry.sql"))
STEP: Final = 500


class Sweeper:
    """Deletes expired content."""

    def __init__(self, pool: asyncpg.Pool, content: ContentStore) -> None:
        self._pool = pool
        self._content = content

    async def sweep(self) -> int:
        """Delete all that has expired and return how many contents went.

        Raises: what asyncpg raises; ContentUnavailable, when what could not be deleted is still there.
        """
        total = 0
        while (swept := await self._step()) is not None:
            total += swept
        if total:
            metrics.EXPIRED.inc(total)
            logger.info("contents_expired", contents=total)
        return total

    async def _step(self) -> int | None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(store.SQL["plan"])
            due = await connection.fetch(SQL["take_due"], STEP)
            if not due:
                return None
            bodies = await connection.fetch(SQL["delete_contents"], *zip(*due, strict=True))
            for (body,) in bodies:
                key = _stored_under(body)
                if key is not None:
                    await self._content.delete(key)
            return len(bodies)


def _stored_under(body: bytes) -> str | None:
    try:
        return rows.decode_body(body).key
    except msgspec.MsgspecError:
        return None
