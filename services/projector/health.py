"""Whether the projector can do its work, asked of what it depends on."""

from pathlib import Path
from typing import Final

import asyncpg

from services.projector.handlers import Handlers
from shared.runtime import postgres
from shared.runtime.consumer import Consumer
from shared.runtime.health import Check
from shared.runtime.log import Log

SQL: Final = postgres.statements(Path(__file__).with_name("health.sql"))


def broker_check(log: Log) -> Check:
    """Return the check of the broker."""

    async def check() -> str | None:
        return None if log.client.is_connected else "not connected to the broker"

    return check


def database_check(pool: asyncpg.Pool, handlers: Handlers) -> Check:
    """Return the check of the database: it takes records, or at least answers while there are none."""

    async def check() -> str | None:
        if handlers.problem is not None:
            return handlers.problem
        try:
            async with pool.acquire(timeout=2) as connection:
                await connection.fetchval(SQL["is_there"], timeout=2)
        except (asyncpg.PostgresError, *postgres.UNAVAILABLE) as error:
            return f"the database does not answer: {error!r}"
        return None

    return check


def records_check(records: Consumer) -> Check:
    """Return the check of our own work: the last batch was handled without a fault."""

    async def check() -> str | None:
        return records.problem

    return check
