"""Objects of the content store: who refers to one, when it goes, and what nobody refers to."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from services.bootstrap import database as bootstrap
from services.projector import dump, expiry, orphans, rows, store
from shared.events import delivery, email, record, signal
from shared.runtime.content import ContentStore
from tests.controls.emails import a_record, a_request
from tests.integration.projector.conftest import catch_up

DAY = "default/2026-11-01"


def a_file(key: str) -> email.Attachment:
    return email.Attachment(
        id="a", filename="a.txt", content_type="text/plain", size=1, sha256="0" * 64, key=f"{DAY}/{key}"
    )


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path.as_uri())


async def _ended(
    pool: asyncpg.Pool, *files: str, days_ago: float, sequence: int, body: email.Body | None = None
) -> str:
    """Store an email with these files that ended some days ago; content is kept for 30."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    body = body or email.pack(email.Content(text="t"))
    attached = tuple(a_file(key) for key in files)
    request = a_request(at=at, body=body, attachments=attached)._replace(sequence=sequence)
    sent = delivery.Sent(occurred_at=at, round=1, attempt=1)
    await store.project(pool, [request, a_record(sent, email_id=request.email_id, sequence=sequence + 1)])
    return request.email_id


async def _stored(content: ContentStore, *keys: str, days_ago: float = 0) -> None:
    for key in keys:
        name = key if "/" in key else f"{DAY}/{key}"
        await content.put(name, b"x")
        assert content.directory is not None
        at = (datetime.now(UTC) - timedelta(days=days_ago)).timestamp()
        os.utime(content.directory / name, (at, at))


async def _left(content: ContentStore) -> set[str]:
    return {found.key.removeprefix(f"{DAY}/") async for found in content.list()}


async def test_an_object_goes_with_the_last_email_that_refers_to_it(
    pool: asyncpg.Pool, content: ContentStore
) -> None:
    await _stored(content, "shared", "own", "body")
    body = email.Body(key=f"{DAY}/body", size=9)
    await _ended(pool, "shared", "own", days_ago=31, sequence=1, body=body)
    await _ended(pool, "shared", days_ago=29, sequence=3)
    await catch_up(pool)
    assert await expiry.Sweeper(pool, content).sweep() == 1
    assert await _left(content) == {"shared"}
    await pool.execute("UPDATE projector.expiries SET expires_at = now() - interval '1 day'")
    assert await expiry.Sweeper(pool, content).sweep() == 1
    assert await _left(content) == set()
    assert await pool.fetchval("SELECT count(*) FROM projector.objects") == 0


async def test_two_emails_that_end_together_take_their_object_along(
    pool: asyncpg.Pool, content: ContentStore
) -> None:
    await _stored(content, "shared")
    for sequence in (1, 3):
        await _ended(pool, "shared", "shared", days_ago=31, sequence=sequence)
    await catch_up(pool)
    assert await expiry.Sweeper(pool, content).sweep() == 2
    assert await _left(content) == set()


async def test_nothing_goes_while_an_email_that_may_refer_to_it_is_not_projected(
    pool: asyncpg.Pool, content: ContentStore
) -> None:
    await _stored(content, "shared")
    await _ended(pool, "shared", days_ago=31, sequence=1)
    await pool.execute("UPDATE projector.progress SET projected_at = now() - interval '2 days'")
    assert await expiry.Sweeper(pool, content).sweep() == 0
    assert await _left(content) == {"shared"}


def _reply(email_id: str, key: str, *, days_ago: float, sequence: int) -> record.Record:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    replied = signal.Replied(occurred_at=at, raw_key=f"{DAY}/{key}")
    return a_record(replied, email_id=email_id, sequence=sequence)


@pytest.mark.parametrize("together", [True, False])
async def test_a_message_that_came_back_is_no_orphan_and_goes_with_its_email(
    pool: asyncpg.Pool, content: ContentStore, together: bool
) -> None:
    await _stored(content, "in-1", days_ago=1.1)
    email_id = await _ended(pool, days_ago=29, sequence=1)
    two = [_reply(email_id, "in-1", days_ago=28.9, sequence=sequence) for sequence in (3, 4)]
    for batch in [two] if together else [[one] for one in two]:
        await store.project(pool, batch)
    await catch_up(pool)
    assert await orphans.Orphans(pool, content).sweep() == 0
    await expiry.Sweeper(pool, content).sweep()
    assert await _left(content) == {"in-1"}
    await pool.execute("UPDATE projector.expiries SET expires_at = now() - interval '1 day'")
    await expiry.Sweeper(pool, content).sweep()
    assert await _left(content) == set()


async def test_a_message_that_comes_when_the_content_has_gone_is_kept_as_long(
    pool: asyncpg.Pool, content: ContentStore
) -> None:
    email_id = await _ended(pool, days_ago=40, sequence=1)
    await catch_up(pool)
    assert await expiry.Sweeper(pool, content).sweep() == 1
    await _stored(content, "in-1")
    await store.project(pool, [_reply(email_id, "in-1", days_ago=1, sequence=3)])
    await catch_up(pool)
    await expiry.Sweeper(pool, content).sweep()
    assert await _left(content) == {"in-1"}
    await pool.execute("UPDATE projector.expiries SET expires_at = expires_at - interval '30 days'")
    await expiry.Sweeper(pool, content).sweep()
    assert await _left(content) == set()


async def test_what_no_email_refers_to_is_swept_after_a_day(
    pool: asyncpg.Pool, content: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "STEP", 2)
    await _stored(content, "orphan 1", "orphan 2", "orphan 3", "used", ".unfinished/0123", days_ago=1.1)
    await _stored(content, "_unmatched/2026-11-23/in-0123", days_ago=1.1)  # a forged report
    await _stored(content, "doctor/0123", "other/kind/of/thing", days_ago=9)
    await _stored(content, "fresh", ".unfinished/4567", days_ago=0.9)
    await _ended(pool, "used", days_ago=0, sequence=1)
    sweep = orphans.Orphans(pool, content).sweep
    await pool.execute("UPDATE projector.progress SET projected_at = now() - interval '3 hours'")
    assert await sweep() == 0, "what was uploaded then may be named by a record that is not projected"
    await catch_up(pool)
    assert await sweep() == 5
    assert await _left(content) == {"used", "fresh", ".unfinished/4567", "doctor/0123", "other/kind/of/thing"}
    assert await sweep() == 0


async def test_references_are_part_of_what_a_rebuild_is_compared_by(pool: asyncpg.Pool) -> None:
    request = a_request(attachments=(a_file("one"), a_file("two")))._replace(sequence=1)
    await store.project(pool, [request])
    lines = [line async for line in dump.dump(pool) if line.startswith("objects")]
    assert len(lines) == 2
    before = await dump.digest(pool)
    await store.project(pool, [request])
    assert await dump.digest(pool) == before
    await pool.execute("DELETE FROM projector.emails")
    await pool.execute("DELETE FROM projector.events")
    await pool.execute("DELETE FROM projector.counts")
    await store.project(pool, [request])
    assert await dump.digest(pool) == before


async def test_bodies_stored_before_references_were_kept_are_referred_to(
    database: str,
) -> None:
    key = "default/2026-11-01/0193a0e2-7d6a-7c3e-8000-0123456789ab-0123456789abcdef"
    small = rows.body([a_request(text="key")])
    large = rows.body([a_request(body=email.Body(key=key, size=99_999))])
    await bootstrap.migrate(database, None)
    connection = await asyncpg.connect(database)
    for number, body in enumerate((small, large)):
        await connection.execute(
            "INSERT INTO projector.contents (email_id, workspace, body) VALUES ($1, 'default', $2)",
            f"00000000-0000-4000-8000-00000000000{number}", body,
        )  # fmt: skip
    await connection.execute(
        "DROP TABLE projector.objects; DELETE FROM bootstrap.migrations WHERE file LIKE '002%'"
    )
    await bootstrap.migrate(database, None)
    assert [key for (key,) in await connection.fetch("SELECT key FROM projector.objects")] == [key]
    await connection.close()
