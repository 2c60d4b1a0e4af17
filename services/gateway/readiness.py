"""Owns what the gateway's health pages say: whether the broker and the database answer, and nothing else of them."""

from pathlib import Path
from typing import Final

import structlog

from services.gateway.request import Services
from shared.runtime import health, postgres

logger = structlog.get_logger(__name__)
_SQL: Final = postgres.statements(Path(__file__).with_name("database.sql"))


def of(services: Services) -> health.Health:
    """Return the health of a gateway with these parts."""

    async def database() -> str | None:
        try:
            await services.pool.fetchval(_SQL["answers"], timeout=2)
        except postgres.UNAVAILABLE as error:
            # The page is public: where the database is and as whom we come are for the log alone.
            logger.warning("database_unavailable", error=repr(error))
            return "the database does not answer"
        return None

    told = health.Health()
    told.add("broker", health.broker_check(services.log, services.publisher))
    # Mail is accepted and sent without Postgres: taking the gateway out for it would make an outage of one.
    told.add("database", database, vital=False)
    return told
