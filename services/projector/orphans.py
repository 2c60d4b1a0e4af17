"""Objects that no email refers to go: what was uploaded and never accepted, and what a crash left half written.

An object lies there before the record that names it, and the record before its row: so only what is a day older
than all that is projected can be known to be nobody's. What lies under other names than ours is left alone.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Final

import asyncpg
import structlog

from services.projector import expiry, metrics, store
from shared.runtime import postgres
from shared.runtime.content import ContentStore
from shared.runtime.content_files import UNFINISHED

logger = structlog.get_logger(__name__)
SQL: Final = postgres.statements(Path(__file__).with_name("orphans.sql"))
AGE: Final = timedelta(hours=24)  # no upload takes longer: the gateway cuts off what is too slow
STEP: Final = 500
_OURS: Final = re.compile(rf"{re.escape(UNFINISHED)}/[^/]+|[^/]+/[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/[^/]+")


class Orphans:
    """Deletes what nobody refers to."""

    def __init__(self, pool: asyncpg.Pool, content: ContentStore) -> None:
        self._pool = pool
        self._content = content

    async def sweep(self) -> int:
        """Delete all orphans and return how many. Raises: what asyncpg raises; ContentUnavailable."""
        before = await self._pool.fetchval(SQL["complete_up_to"]) - AGE
        swept, old = 0, []
        async for found in self._content.list():
            if found.modified < before and _OURS.fullmatch(found.key):
                old.append(found.key)
            if len(old) == STEP:
                swept += await self._drop(old)
                old = []
        swept += await self._drop(old)
        if swept:
            metrics.SWEPT.inc(swept)
            logger.info("orphans_swept", objects=swept)
        return swept

    async def _drop(self, keys: list[str]) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(store.SQL["plan"])
            orphans = set(keys) - await expiry.referred(connection, keys)
        for key in sorted(orphans):
            await self._content.delete(key)
        return len(orphans)
