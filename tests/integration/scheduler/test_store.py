"""The table: one scheduler a lane, bulk filling, and plans that never read it all."""

import re

import asyncpg

from services.scheduler.row import Lane
from services.scheduler.store import PLANNER
from shared.runtime import postgres
from tests.controls import scheduling
from tests.controls.emails import ACCOUNT, WORKSPACE, a_request
from tests.controls.scheduling import now

LANE, OTHER = Lane(WORKSPACE, ACCOUNT), Lane(WORKSPACE, "other")


async def test_a_lane_in_one_scheduler_s_hands_is_not_in_another_s(database_url: str) -> None:
    async with scheduling.table(database_url) as table, scheduling.table(database_url) as beside:
        await table.add_lanes([LANE, OTHER])
        async with table.transaction() as mine, beside.transaction() as theirs:
            assert set(await mine.lock_lanes([LANE])) == {LANE}
            assert set(await theirs.lock_lanes([LANE, OTHER])) == {OTHER}
        async with beside.transaction() as theirs:
            assert set(await theirs.lock_lanes([LANE, OTHER])) == {LANE, OTHER}


async def test_credit_is_counted_after_the_lock_not_before_it(database_url: str) -> None:
    """What another scheduler released a moment ago must be seen by whoever gets the lane next."""
    item = a_request(release="turn")._replace(sequence=1)
    async with scheduling.table(database_url) as table, scheduling.table(database_url) as beside:
        await table.add_lanes([LANE])
        await scheduling.put(table, item)
        async with beside.transaction() as theirs:
            async with table.transaction() as mine:
                await mine.lock_lanes([LANE])
                await scheduling.put(beside, scheduling.a_release(item)._replace(sequence=2))
            standing = (await theirs.lock_lanes([LANE]))[LANE]
        assert standing.outstanding == 1


async def test_what_others_have_out_is_counted_beside_what_is_the_account_s_own(database_url: str) -> None:
    async with scheduling.table(database_url) as table:
        await table.add_lanes([LANE, OTHER])
        for sequence, account in enumerate((ACCOUNT, "other", "other"), start=1):
            item = a_request(release="turn", account_id=account)
            await scheduling.put(table, item._replace(sequence=sequence))
            await scheduling.put(table, scheduling.a_release(item)._replace(sequence=10 + sequence))
        await scheduling.put(table, a_request(release="turn", account_id="other")._replace(sequence=20))
        async with table.transaction() as tx:
            standings = await tx.lock_lanes([LANE, OTHER])
        assert (standings[LANE].outstanding, standings[LANE].elsewhere) == (1, 2)
        assert (standings[OTHER].outstanding, standings[OTHER].elsewhere) == (2, 1)


async def test_rows_copied_in_bulk_are_found_due(database_url: str) -> None:
    items = [a_request(release="turn")._replace(sequence=number) for number in range(1, 50)]
    async with scheduling.table(database_url) as table:
        async with table.transaction() as tx:
            await tx.copy(scheduling.row_of(item) for item in items)
        found = await scheduling.due(table)
        assert {row.email_id for row in found} == {item.email_id for item in items}
        assert all(row.payload is not None for row in found)
        lanes, deadline = await table.look()
        assert (set(lanes), deadline) == ({LANE}, None)


async def test_no_statement_reads_the_whole_table(database_url: str) -> None:
    """Statistics of a queue are always wrong: with none at all, every plan must still follow an index."""
    connection = await asyncpg.connect(database_url, server_settings=PLANNER)
    try:
        for name, query in postgres.statements(scheduling.STATEMENTS).items():
            if "scheduler.waiting" not in query or query.startswith("INSERT"):
                continue
            count = max((int(number) for number in re.findall(r"\$(\d+)", query)), default=0)
            nothing = f"({', '.join(['NULL'] * count)})" if count else ""
            await connection.execute(f"PREPARE {name} AS {query}")
            plan = "\n".join(line for (line,) in await connection.fetch(f"EXPLAIN EXECUTE {name}{nothing}"))
            assert "Seq Scan on waiting" not in plan, f"{name}:\n{plan}"
            assert "Bitmap" not in plan, f"{name}:\n{plan}"
            assert "Join Filter" not in plan, f"{name}:\n{plan}"
    finally:
        await connection.close()


async def test_the_look_tells_the_earliest_time_of_each_lane(database_url: str) -> None:
    early, late = now(), scheduling.later(60)
    single = a_request(release="at", scheduled_at=late)._replace(sequence=1)
    bulk = a_request(release="at", scheduled_at=early, batch_id="b")._replace(sequence=2)
    other = a_request(release="at", scheduled_at=late, account_id="other", expires_at=early)
    async with scheduling.table(database_url) as table:
        await scheduling.put(table, single, bulk, other._replace(sequence=3))
        assert await table.look() == ({LANE: early, OTHER: late}, early)
