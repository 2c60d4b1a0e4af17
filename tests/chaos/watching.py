"""Looking at statuses while a load runs, so that one that goes backwards for a moment is seen."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import asyncpg

from tests.chaos.ledger import Ledger

LOOKS = 16


@asynccontextmanager
async def watched(ledger: Ledger, every: float = 0.25) -> AsyncIterator[None]:
    """Note all rows and some answers of the API again and again for the length of the block."""
    task = asyncio.create_task(_watch(ledger, every))
    try:
        yield
    finally:
        broke = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not broke, "the watch ended early"


async def _watch(ledger: Ledger, every: float) -> None:
    async with ledger.session() as session:
        while True:
            # Postgres and the gateway are among the processes that get killed.
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await ledger.statuses()
            newest = list(ledger.accepted)[-200:]
            for email_id in random.sample(newest, min(LOOKS, len(newest))):
                with suppress(aiohttp.ClientError, TimeoutError):
                    await _look(ledger, session, email_id)
            await asyncio.sleep(every)


async def _look(ledger: Ledger, session: aiohttp.ClientSession, email_id: str) -> None:
    async with session.get(f"/api/v1/emails/{email_id}") as answer:
        if answer.status == 200:
            ledger.saw("the API", email_id, (await answer.json())["data"]["status"])
