"""What is done from time to time, for as long as the process lives; a failure is said once and tried again."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import nats
import structlog

from shared.runtime import postgres
from shared.runtime.content import ContentUnavailable

logger = structlog.get_logger(__name__)
_EXPECTED = (asyncpg.PostgresError, *postgres.UNAVAILABLE, nats.errors.Error, ContentUnavailable)


async def every(seconds: float, name: str, action: Callable[[], Awaitable[object]]) -> None:
    """Run `action` every so many seconds until cancelled."""
    failing = False
    while True:
        try:
            await action()
            failing = False
        except _EXPECTED as error:
            if not failing:
                logger.warning("chore_failed", chore=name, error=repr(error))
            failing = True
        except Exception:
            logger.exception("chore_failed", chore=name)
        await asyncio.sleep(seconds)
