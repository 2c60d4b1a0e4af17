"""Statistics through the API, with ten million events counted: of a month and of a year, of all mail and of a tag."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import asyncpg

from bench import load
from bench.figures import Row
from shared.runtime import postgres
from tests.controls.world import World

SQL = postgres.statements(Path(__file__).with_name("counting.sql"))
DAYS = 365
EVENTS = 10_000_000
WITHIN_MS = 200


async def statistics(scale: int) -> list[Row]:
    """Ask with every quarter hour of a year in use, by ten accounts and four tags each: 1.9 million rows."""
    accounts = [str(uuid.UUID(int=number)) for number in range(10)]
    world = World()
    try:
        await asyncio.to_thread(world.start)
        pool = await asyncpg.create_pool(world.variables["SENDLOG_DATABASE_URL"], min_size=1, max_size=1)
        end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        begin = end - timedelta(days=DAYS // scale)
        quarters = DAYS // scale * 96
        each = max(1, EVENTS // scale // quarters // len(accounts))
        await pool.execute(SQL["fill"], begin, end, accounts, each, timeout=600)
        await pool.execute("VACUUM ANALYZE projector.counts", timeout=600)
        await pool.close()
        return [await _row(world, begin, end, name, query) for name, query in _queries(accounts).items()]
    finally:
        await asyncio.to_thread(world.stop)


def _queries(accounts: list[str]) -> dict[str, str]:
    account = f"&smtp_account_id={accounts[0]}"
    return {
        "a month by day": "interval=day",
        "a year by day, all mail": "year",
        "a year by day, one account": f"year{account}",
        "a year by day, one tag, all accounts": "year&tag=tag1",
        "16 days by hour": "hours",
    }


async def _row(world: World, begin: datetime, end: datetime, name: str, query: str) -> Row:
    zone = "&timezone=Europe/Berlin"
    hours = f"interval=hour&from={quote((end - timedelta(days=16)).isoformat())}"
    query = query.replace("year", f"from={quote(begin.isoformat())}").replace("hours", hours)
    requests = [load.get(f"/api/v1/tracking/stats?{query}{zone}", world.key) for _ in range(60)]
    answered = await load.closed_loop(world.ports["GATEWAY"], iter(requests), 1)
    assert set(answered.statuses) == {200}, answered.statuses
    return Row(
        name=f"statistics, 10M events: {name}",
        figure=f"p99 {answered.p99_ms():.0f} ms",
        bar=f"<= {WITHIN_MS} ms",
        met=answered.p99_ms() <= WITHIN_MS,
        values={"p99_ms": answered.p99_ms()},
    )
