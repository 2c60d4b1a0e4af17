"""What is done with a batch of records: written, and what the database refuses is found and set aside.

A database that is away is waited for with the batch in hand, whose heartbeats go on: memory is bounded by the
consumer's in-flight window, and nothing is given back only to come again.
"""

import asyncio
from typing import Final, Protocol

import asyncpg
import structlog

from services.projector import metrics, store
from shared.runtime import postgres
from shared.runtime.delivery import Delivery

logger = structlog.get_logger(__name__)
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0

# What is wrong with the record itself, so that no later try would be better.
REFUSED: Final = (
    asyncpg.DataError,
    asyncpg.NotNullViolationError,
    asyncpg.CheckViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,  # not encodable: the id of no email, a lone surrogate
    OverflowError,  # a number or a time beyond what the database knows
)
# Everything else the database says is about the database: away, full, starting, not migrated yet.
_AWAY: Final = (asyncpg.PostgresError, *postgres.UNAVAILABLE)
_FAULTS: Final = 3


class Source(Protocol):
    """Where deliveries come from and are settled."""

    async def ack_all(self, deliveries: list[Delivery]) -> None:
        """Settle them: their work is done."""

    async def set_aside(self, delivery: Delivery, why: Exception) -> None:
        """Dead-letter one."""


class Fault(Exception):
    """Our own code failed on some records; they are given back and tried again."""


class Handlers:
    """Writes what the log says. `problem` is what keeps it from doing so, if anything does."""

    def __init__(self, pool: asyncpg.Pool, *, content_days: float) -> None:
        self._pool = pool
        self._content_days = content_days
        self.problem: str | None = None

    async def take(self, batch: list[Delivery], source: Source) -> None:
        """Write a batch and ack it; what can never be written is set aside, its neighbours go on.

        Raises: Fault when our own code failed; what was written is acked all the same.
        """
        faults: list[Exception] = []
        await self._settle(batch, source, faults)
        if faults:
            raise Fault(f"{len(faults)} records could not be handled: {faults[0]!r}") from faults[0]

    async def _settle(self, batch: list[Delivery], source: Source, faults: list[Exception]) -> None:
        try:
            await self._write(batch)
        except Exception as error:
            if len(batch) > 1 and len(faults) < _FAULTS:
                middle = len(batch) // 2
                await self._settle(batch[:middle], source, faults)
                await self._settle(batch[middle:], source, faults)
            elif len(batch) == 1 and isinstance(error, REFUSED):
                await self._set_aside(batch[0], source, error, faults)
            else:
                faults.append(error)
            return
        await source.ack_all(batch)

    async def _set_aside(
        self, delivery: Delivery, source: Source, why: Exception, faults: list[Exception]
    ) -> None:
        try:
            await source.set_aside(delivery, why)
        except Exception as error:  # the dead letters are not to be had just now: it will come again
            faults.append(error)

    async def _write(self, batch: list[Delivery]) -> None:
        """Write until it is written. Raises: what is wrong with the records."""
        records = [delivery.record for delivery in batch]
        wait = _FIRST_WAIT
        while True:
            try:
                new = await store.project(self._pool, records, content_days=self._content_days)
            except REFUSED:
                raise
            except _AWAY as error:
                self._note(f"the database does not take records: {error!r}")
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            self._note(None)
            metrics.PROJECTED.inc(len(new))
            metrics.BATCHES.inc()
            return

    def _note(self, problem: str | None) -> None:
        if problem and not self.problem:
            logger.warning("projection_waits", reason=problem)
        elif self.problem and not problem:
            logger.info("projection_goes_on")
        self.problem = problem
