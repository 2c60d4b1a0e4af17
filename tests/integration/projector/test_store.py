"""Writing batches to a real Postgres: whatever order they come in, the rows are the fold of the events."""

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from services.projector import dump, rows, store
from shared.events import delivery, email, fold
from shared.events.base import EmailId
from tests.controls.emails import ACCOUNT, NOON, a_record, a_request, an_email
from tests.integration.projector.conftest import empty
from tests.integration.projector.histories import histories, mangled, reason


async def _states(pool: asyncpg.Pool) -> dict[str, fold.State]:
    found = await pool.fetch("SELECT email_id, state FROM projector.emails")
    return {str(email_id): rows.decode_state(state) for email_id, state in found}


def _without_sequence(state: fold.State) -> fold.State:
    return msgspec.structs.replace(state, sequence=0)


@pytest.mark.parametrize("seed", range(6))
async def test_order_repeats_and_batches_make_no_difference(pool: asyncpg.Pool, seed: int) -> None:
    records = histories(seed, emails=60)
    for item in records:
        assert await store.project(pool, [item]) == {item.sequence}
    expected = await dump.digest(pool)
    for variant in range(3):
        await empty(pool)
        for batch in mangled(records, seed=100 * seed + variant):
            await store.project(pool, batch)
        assert await dump.digest(pool) == expected, f"variant {variant}"


async def test_a_row_is_the_fold_of_its_records(pool: asyncpg.Pool) -> None:
    records = histories(seed=7, emails=300)
    for batch in mangled(records, seed=7):
        await store.project(pool, batch)
    stored = await _states(pool)
    assert len(stored) == 300
    for email_id, state in stored.items():
        expected = fold.fold(item for item in records if item.email_id == email_id)
        assert _without_sequence(state) == _without_sequence(expected)


async def test_a_batch_large_enough_to_be_split_is_written_whole(pool: asyncpg.Pool) -> None:
    records = histories(seed=8, emails=store.PIECE * 4)
    assert await store.project(pool, records) == {item.sequence for item in records}
    assert await store.project(pool, records) == set()
    assert len(await _states(pool)) == store.PIECE * 4


@pytest.mark.parametrize("seed", range(3))
async def test_replicas_that_race_for_the_same_emails_agree(pool: asyncpg.Pool, seed: int) -> None:
    records = histories(seed, emails=80)
    await store.project(pool, records)
    expected = await dump.digest(pool)
    await empty(pool)

    async def replica(number: int) -> int:
        return sum(
            [len(await store.project(pool, batch)) for batch in mangled(records, seed=number, copies=2)]
        )

    new = await asyncio.gather(*(replica(number) for number in range(4)))
    assert sum(new) == len(records)
    assert await dump.digest(pool) == expected


async def test_the_same_event_appended_twice_is_archived_once(pool: asyncpg.Pool) -> None:
    first = a_request()._replace(sequence=3)
    again = first._replace(sequence=9)
    assert await store.project(pool, [again, first]) == {3}
    assert await store.project(pool, [again]) == set()
    assert await pool.fetchval("SELECT array_agg(sequence) FROM projector.events") == [3]


async def test_an_email_is_in_no_list_before_its_request_is_seen(pool: asyncpg.Pool) -> None:
    request = a_request(at=NOON)._replace(sequence=1)
    claim = delivery.Sending(occurred_at=NOON, round=1, attempt=1, claim_id="c", account_id=ACCOUNT)
    await store.project(pool, [a_record(claim, email_id=request.email_id, sequence=2)])
    assert await pool.fetchval("SELECT created_at FROM projector.emails") is None
    await store.project(pool, [request])
    row = await _row(pool, "SELECT created_at, status, recipients, tags FROM projector.emails")
    assert row == (NOON, "sending", ["ann@world.test"], None)


async def _row(pool: asyncpg.Pool, query: str) -> tuple[Any, ...]:
    found = await pool.fetchrow(query)
    assert found is not None
    return tuple(found)


async def test_what_lists_filter_by_is_normalised(pool: asyncpg.Pool) -> None:
    request = a_request("Ann@World.TEST", "bob@world.test", tags=("x", "y"), batch_id="b-1")
    await store.project(pool, [request._replace(sequence=1)])
    row = await _row(pool, "SELECT recipients, from_address, tags, batch_id, status FROM projector.emails")
    assert row == (
        ["ann@world.test", "bob@world.test"],
        "hello@sendlog.test",
        ["x", "y"],
        "b-1",
        "queued",
    )


async def test_nul_becomes_the_replacement_character(pool: asyncpg.Pool) -> None:
    request = a_request(subject="a\0b", tags=("t\0",), metadata={"k": "v\0"})._replace(
        sequence=1, causation="c\0"
    )
    assert await store.project(pool, [request]) == {1}
    row = await _row(pool, "SELECT subject, tags FROM projector.emails")
    assert row == ("a\ufffdb", ["t\ufffd"])
    state = (await _states(pool))[request.email_id]
    assert state.email is not None
    assert state.email.metadata == {"k": "v\0"}  # what is not a text column is kept as it came


@pytest.mark.parametrize("bad", ["no-uuid", "A2B6A9D0-0000-4000-8000-000000000000", ""])
async def test_what_is_no_email_is_refused_whole(pool: asyncpg.Pool, bad: str) -> None:
    odd = a_request()._replace(sequence=2, email_id=EmailId(bad))
    with pytest.raises(rows.NotAnEmail):
        await store.project(pool, [a_request()._replace(sequence=1), odd])
    assert await _states(pool) == {}


async def test_the_archive_has_no_content_and_the_contents_have_it(pool: asyncpg.Pool) -> None:
    request = a_request(text="the secret of the mail")._replace(sequence=1)
    again = delivery.Deferred(
        occurred_at=NOON,
        round=1,
        reason=reason("450"),
        next_attempt_at=NOON,
        expires_at=NOON,
        email=an_email(text="the secret of the mail"),
    )
    await store.project(pool, [request, a_record(again, email_id=request.email_id, sequence=2)])
    payloads = await pool.fetch("SELECT payload FROM projector.events")
    assert all(b"secret" not in payload for (payload,) in payloads)
    assert b"secret" not in await pool.fetchval("SELECT state FROM projector.emails")
    body = rows.decode_body(await pool.fetchval("SELECT body FROM projector.contents"))
    assert body.content == email.Content(text="the secret of the mail")


@pytest.mark.parametrize("together", [True, False])
async def test_content_expires_some_days_after_the_last_word(pool: asyncpg.Pool, together: bool) -> None:
    request = a_request(at=NOON)._replace(sequence=1)
    sent_at = NOON + timedelta(hours=5)
    sent = a_record(
        delivery.Sent(occurred_at=sent_at, round=1, attempt=1), email_id=request.email_id, sequence=2
    )
    for batch in [[request, sent]] if together else [[request], [sent]]:
        await store.project(pool, batch, content_days=2)
    found = await pool.fetch("SELECT email_id, expires_at FROM projector.expiries")
    assert [tuple(row) for row in found] == [(uuid.UUID(request.email_id), sent_at + timedelta(days=2))]


async def test_content_of_an_email_that_waits_does_not_expire(pool: asyncpg.Pool) -> None:
    await store.project(pool, [a_request(at=NOON, release="at")._replace(sequence=1)])
    assert await pool.fetchval("SELECT count(*) FROM projector.expiries") == 0
    assert await pool.fetchval("SELECT count(*) FROM projector.contents") == 1


async def test_a_row_that_cannot_be_read_is_made_again_from_its_archive(pool: asyncpg.Pool) -> None:
    request = a_request()._replace(sequence=1)
    sent = a_record(
        delivery.Sent(occurred_at=NOON, round=1, attempt=1), email_id=request.email_id, sequence=2
    )
    await store.project(pool, [request])
    await pool.execute("UPDATE projector.emails SET state = '\\xc1'")
    await store.project(pool, [sent])
    assert await pool.fetchval("SELECT status FROM projector.emails") == "sent"
    assert (await _states(pool))[request.email_id].email is not None


async def test_emails_are_counted_by_where_in_the_log_they_began(pool: asyncpg.Pool) -> None:
    places = (1, 2, store.STRETCH, 5 * store.STRETCH)
    requests = [a_request()._replace(sequence=place) for place in places]
    random.Random(1).shuffle(requests)
    await store.project(pool, requests[:2])
    await store.project(pool, requests)
    found = await pool.fetch("SELECT stretch, emails, seen_at FROM projector.stretches ORDER BY stretch")
    assert [(stretch, emails) for stretch, emails, _ in found] == [(0, 2), (1, 1), (5, 1)]
    assert all(datetime.now(UTC) - seen_at < timedelta(minutes=1) for _, _, seen_at in found)


async def test_the_gateway_may_read_and_not_write(pool: asyncpg.Pool) -> None:
    await store.project(pool, [a_request()._replace(sequence=1)])
    async with pool.acquire() as connection:
        await connection.execute("SET ROLE sendlog_gateway")
        for table in ("emails", "events", "contents", "progress"):
            assert await connection.fetchval(f"SELECT count(*) FROM projector.{table}") == 1
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DELETE FROM projector.{table}")
        await connection.execute("RESET ROLE")
