"""What the projector does from time to time: tell how far it is, and let content go."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.projector import expiry, reach, store
from shared.events import delivery, email
from shared.runtime.content import ContentMissing, ContentStore, ContentUnavailable
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from tests.controls import runtime
from tests.controls.emails import a_record, a_request
from tests.integration.projector.conftest import catch_up

_PROGRESS = "SELECT sequence, projected_at FROM projector.progress"


@pytest.fixture
async def opened(nats_url: str) -> AsyncIterator[tuple[Log, Publisher]]:
    async with runtime.open_log(nats_url) as opened:
        yield opened


async def _progress(pool: asyncpg.Pool) -> tuple[int, datetime]:
    row = await pool.fetchrow(_PROGRESS)
    assert row is not None
    return row[0], row[1]


async def test_lists_are_complete_only_up_to_the_first_record_that_is_missing(
    pool: asyncpg.Pool, opened: tuple[Log, Publisher]
) -> None:
    log, publisher = opened
    clock = reach.Clock(pool, log.client)
    await clock.tick()
    idle = await _progress(pool)
    assert datetime.now(UTC) - idle[1] < timedelta(seconds=2)
    before = datetime.now(UTC)
    await publisher.append(a_request())
    after = datetime.now(UTC)
    await pool.execute("UPDATE projector.progress SET projected_at = 'epoch'")
    await clock.tick()
    sequence, moment = await _progress(pool)
    assert sequence == 0
    assert before - timedelta(milliseconds=50) <= moment <= after


async def test_replicas_write_progress_once_a_second_at_most(
    pool: asyncpg.Pool, opened: tuple[Log, Publisher]
) -> None:
    clock = reach.Clock(pool, opened[0].client)
    await clock.tick()
    first = await _progress(pool)
    await clock.tick()
    assert await _progress(pool) == first


async def _ended(pool: asyncpg.Pool, body: email.Body | None, *, days_ago: float, sequence: int) -> str:
    """Store an email that ended some days ago; content is kept for 30."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    request = a_request(at=at, body=body)._replace(sequence=sequence)
    sent = delivery.Sent(occurred_at=at, round=1, attempt=1)
    await store.project(pool, [request, a_record(sent, email_id=request.email_id, sequence=sequence + 1)])
    return request.email_id


async def test_content_goes_when_its_time_is_over_and_not_before(pool: asyncpg.Pool, tmp_path: Path) -> None:
    content = ContentStore(tmp_path.as_uri())
    await content.prepare()
    await content.put("default/large", b"large")
    old = email.pack(email.Content(text="old"))
    await _ended(pool, old, days_ago=31, sequence=1)
    await _ended(pool, email.Body(key="default/large", size=5), days_ago=31, sequence=3)
    kept = await _ended(pool, old, days_ago=29, sequence=5)
    assert await expiry.Sweeper(pool, content).sweep() == 0, "before the read model is known to be complete"
    await catch_up(pool)
    assert await expiry.Sweeper(pool, content).sweep() == 2
    left = await pool.fetch("SELECT email_id FROM projector.contents")
    assert [str(email_id) for (email_id,) in left] == [kept]
    with pytest.raises(ContentMissing):
        await content.get("default/large")
    assert await pool.fetchval("SELECT count(*) FROM projector.emails") == 3
    assert await expiry.Sweeper(pool, content).sweep() == 0


async def test_many_contents_go_in_several_steps(
    pool: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "STEP", 3)
    for number in range(8):
        await _ended(pool, email.pack(email.Content(text="old")), days_ago=31, sequence=2 * number + 1)
    await catch_up(pool)
    assert await expiry.Sweeper(pool, ContentStore(tmp_path.as_uri())).sweep() == 8


class _AwayStore(ContentStore):
    async def delete(self, key: str) -> None:
        raise ContentUnavailable(key)


async def test_a_row_stays_until_its_object_is_gone(pool: asyncpg.Pool, tmp_path: Path) -> None:
    """An object without a row would never be found again."""
    await _ended(pool, email.Body(key="default/large", size=5), days_ago=31, sequence=1)
    await catch_up(pool)
    with pytest.raises(ContentUnavailable):
        await expiry.Sweeper(pool, _AwayStore(tmp_path.as_uri())).sweep()
    assert await pool.fetchval("SELECT count(*) FROM projector.contents") == 1
    assert await expiry.Sweeper(pool, ContentStore(tmp_path.as_uri())).sweep() == 1
