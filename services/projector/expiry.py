"""Content goes when its time is over: row by row in small steps, stored objects first.

An object whose row is gone would be found again by the sweep alone, so a row goes only after its object; and an
object only with the last email that refers to it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import asyncpg
import structlog

from services.projector import metrics, store
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
            columns = list(zip(*due, strict=True))
            deleted = await connection.execute(SQL["delete_contents"], *columns)
            freed = {key for (key,) in await connection.fetch(SQL["delete_references"], *columns)}
            for key in freed - await referred(connection, freed):
                await self._content.delete(key)
            return int(deleted.rpartition(" ")[2])


async def referred(connection: Any, keys: Iterable[str]) -> set[str]:
    """Return those of the keys that some email refers to."""
    return {key for (key,) in await connection.fetch(SQL["find_referred"], list(keys))}
