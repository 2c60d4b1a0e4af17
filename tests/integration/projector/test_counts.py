"""Statistics: whatever way records come, the table says what the whole archive says, and a rebuild puts it right."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.projector import counting, counts, dump, rebuilding, store
from shared.events import delivery, fold, record, signal
from tests.controls import runtime
from tests.controls.emails import ACCOUNT, NOON, a_record, a_request
from tests.integration.projector.conftest import damage
from tests.integration.projector.histories import histories, mangled, reason


async def _table(pool: asyncpg.Pool) -> dict[tuple[Any, ...], dict[str, int]]:
    """Return what the table has, without zeros."""
    found = await pool.fetch(dump.SQL["counts"])
    return {
        (row["workspace"], row["tag"], row["account_id"], row["at"]): {
            name: row[name] for name in counting.COLUMNS if row[name]
        }
        for row in found
    }


def _counted(records: list[record.Record]) -> dict[tuple[Any, ...], dict[str, int]]:
    """Count records in the plainest way: each email at once, from all of its events."""
    total: dict[tuple[Any, ...], Counter[str]] = {}
    for _, lane in _by_email(records).items():
        state = fold.fold(lane.values())
        if state.email is None:
            continue
        facts = [*counting.of_state(state), *counting.of_events(lane.values())]
        workspace = next(iter(lane.values())).workspace
        tags = {"", *(state.email.tags or ())}
        groups = {(tag, account) for tag in tags for account in ("", state.email.account_id)}
        for place, at in facts:
            begins = at - timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
            for tag, account in groups:
                total.setdefault((workspace, tag, account, begins), Counter())[counting.COLUMNS[place]] += 1
    return {key: dict(sums) for key, sums in total.items()}


def _by_email(records: list[record.Record]) -> dict[tuple[str, str], dict[str, record.Record]]:
    lanes: dict[tuple[str, str], dict[str, record.Record]] = {}
    for item in records:
        lanes.setdefault((item.workspace, item.email_id), {})[item.event_id] = item
    return lanes


@pytest.fixture
def lived() -> list[record.Record]:
    return histories(seed=11, emails=150)


def test_histories_have_every_kind_of_thing_that_is_counted(lived: list[record.Record]) -> None:
    missing = set(counting.COLUMNS)
    for sums in _counted(lived).values():
        missing -= sums.keys()
    assert missing == set()


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_with_repeats_is_counted_as_the_whole_archive_is(
    pool: asyncpg.Pool, seed: int
) -> None:
    records = histories(seed, emails=60)
    for batch in mangled(records, seed=seed):
        await store.project(pool, batch)
    assert await _table(pool) == _counted(records)
    assert await counts.recount(pool) == 0


async def test_replicas_at_the_same_emails_count_them_once(
    pool: asyncpg.Pool, lived: list[record.Record]
) -> None:
    batches = list(mangled(lived, seed=3))
    lanes = [batches[number::3] for number in range(3)]

    async def replica(lane: list[list[record.Record]]) -> None:
        for batch in lane:
            await store.project(pool, batch)

    await asyncio.gather(*map(replica, lanes))
    assert await _table(pool) == _counted(lived)


async def test_signals_that_come_before_their_request_are_counted_with_it(pool: asyncpg.Pool) -> None:
    request = a_request(at=NOON, tags=("a",))._replace(sequence=9)
    opened = signal.Opened(occurred_at=NOON + timedelta(hours=1))
    items = [a_record(opened, email_id=request.email_id, sequence=number) for number in (10, 11)]
    await store.project(pool, items[:1])
    assert await _table(pool) == {}
    await store.project(pool, [items[1], request])
    assert await _table(pool) == _counted([request, *items])


async def test_an_earlier_first_opening_moves_the_email_and_not_the_openings(pool: asyncpg.Pool) -> None:
    request = a_request(at=NOON)._replace(sequence=1)
    late, early = (
        a_record(
            signal.Opened(occurred_at=NOON + timedelta(hours=hours)),
            email_id=request.email_id,
            sequence=hours,
        )
        for hours in (5, 2)
    )
    for item in (request, late, early):
        await store.project(pool, [item])
    table = await _table(pool)
    assert table["default", "", "", late.event.occurred_at] == {"opened": 1}
    assert table["default", "", ACCOUNT, early.event.occurred_at] == {"opened": 1, "emails_opened": 1}


async def test_an_email_that_is_sent_after_all_counts_as_failed_no_longer(pool: asyncpg.Pool) -> None:
    request = a_request(at=NOON)._replace(sequence=1)
    failed = delivery.Failed(occurred_at=NOON, round=1, attempt=1, reason=reason("550"))
    sent = delivery.Sent(occurred_at=NOON, round=1, attempt=1)
    await store.project(pool, [request, a_record(failed, email_id=request.email_id, sequence=2)])
    assert (await _table(pool))["default", "", "", NOON] == {"emails_accepted": 1, "emails_failed": 1}
    await store.project(pool, [a_record(sent, email_id=request.email_id, sequence=3)])
    assert (await _table(pool))["default", "", "", NOON] == {"emails_accepted": 1, "emails_sent": 1}


async def test_a_rebuild_puts_right_what_is_wrong_lost_or_too_much(
    pool: asyncpg.Pool, clean_nats: str, lived: list[record.Record]
) -> None:
    await runtime.bootstrap(clean_nats)
    await store.project(pool, lived)
    before = await _table(pool)
    await pool.execute("UPDATE projector.counts SET opened = opened + 3 WHERE tag = 'a'")
    await pool.execute("DELETE FROM projector.counts WHERE workspace = 'zen' AND tag = ''")
    await pool.execute(
        """INSERT INTO projector.counts (at, workspace, tag, account_id, read)
           VALUES ('2026-11-24 12:15Z', 'acme', 'x', '', 1)"""
    )
    async with runtime.open_log(clean_nats) as (emails, _):
        report = await rebuilding.rebuild(pool, emails)
        assert report.recounted > 3
        assert await _table(pool) == before
        assert (await rebuilding.rebuild(pool, emails)).recounted == 0


async def test_a_row_that_was_lost_does_not_count_its_email_twice_for_long(
    pool: asyncpg.Pool, clean_nats: str, lived: list[record.Record]
) -> None:
    await runtime.bootstrap(clean_nats)
    half = len(lived) // 2
    await store.project(pool, lived[:half])
    await pool.execute("DELETE FROM projector.emails")
    await store.project(pool, lived[half:])
    async with runtime.open_log(clean_nats) as (emails, _):
        await rebuilding.rebuild(pool, emails)
    assert await _table(pool) == _counted(lived)


async def test_a_recount_during_live_traffic_ends_with_what_is_true(pool: asyncpg.Pool) -> None:
    records = histories(seed=5, emails=400)
    dice = random.Random(5)
    dice.shuffle(records)

    async def live() -> None:
        for start in range(0, len(records), 40):
            await store.project(pool, records[start : start + 40])

    projecting = asyncio.create_task(live())
    rounds = 0
    while not projecting.done():
        await damage(pool, "counts", "opened = opened + 1")
        await asyncio.gather(counts.recount(pool), counts.recount(pool))
        rounds += 1
    await projecting
    await counts.recount(pool)
    assert rounds > 1
    assert await _table(pool) == _counted(records)
