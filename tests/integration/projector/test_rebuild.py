"""Rebuilding in place: whatever was lost or wrong, the rows are again what live ones would be."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import msgspec
import pytest

from services.projector import app, archive, dump, rebuilding, store
from services.projector.settings import Settings
from shared.events import delivery, record
from shared.runtime import log, topology
from tests.controls import runtime
from tests.controls.emails import NOON, a_record, a_request
from tests.controls.eventually import eventually
from tests.integration.projector.conftest import damage, empty
from tests.integration.projector.histories import histories, mangled


@pytest.fixture
async def emails(nats_url: str) -> AsyncIterator[log.Log]:
    async with runtime.open_log(nats_url) as (emails, _):
        yield emails


async def _appended(nats_url: str, records: list[record.Record]) -> list[record.Record]:
    """Append the records and return them with their sequences."""
    async with runtime.open_log(nats_url) as (_, publisher):
        return [item._replace(sequence=await publisher.append(item)) for item in records]


async def test_rows_that_are_gone_are_made_again_from_the_archive(
    pool: asyncpg.Pool, emails: log.Log
) -> None:
    records = histories(seed=1, emails=300)
    for batch in mangled(records, seed=1):
        await store.project(pool, batch)
    live = await dump.digest(pool)
    await pool.execute("TRUNCATE projector.emails")
    report = await rebuilding.rebuild(pool, emails)
    assert await dump.digest(pool) == live
    assert report == rebuilding.Report(events=len(records), emails=300, rewritten=300)


async def test_rows_that_are_wrong_are_put_right_and_right_ones_are_left(
    pool: asyncpg.Pool, emails: log.Log
) -> None:
    await store.project(pool, histories(seed=2, emails=100))
    live = await dump.digest(pool)
    await pool.execute(
        """UPDATE projector.emails SET status = 'failed', tags = '{nobody}'
           WHERE email_id IN (SELECT email_id FROM projector.emails WHERE status <> 'failed' LIMIT 7)"""
    )
    report = await rebuilding.rebuild(pool, emails)
    assert (report.emails, report.rewritten) == (100, 7)
    assert await dump.digest(pool) == live


async def test_what_the_archive_lost_comes_back_from_the_log(
    pool: asyncpg.Pool, emails: log.Log, nats_url: str
) -> None:
    records = await _appended(nats_url, histories(seed=3, emails=80))
    await store.project(pool, records)
    live = await dump.digest(pool)
    await pool.execute("DELETE FROM projector.events WHERE sequence % 3 = 0")
    await pool.execute("TRUNCATE projector.emails, projector.contents")
    # Contents come back with their requests, and those whose request the archive still has stay lost.
    lost = sum(item.sequence % 3 == 0 for item in records)
    report = await rebuilding.rebuild(pool, emails)
    assert report.rearchived == lost
    await empty(pool)
    report = await rebuilding.rebuild(pool, emails)
    assert report.rearchived == len(records)
    assert await dump.digest(pool) == live


async def test_a_rebuild_during_live_traffic_ends_with_the_rows_of_live_traffic(
    wanted: Settings, pool: asyncpg.Pool, emails: log.Log, nats_url: str
) -> None:
    records = histories(seed=4, emails=250)
    async with app.assemble(wanted):
        appending = asyncio.create_task(_appended(nats_url, records))
        rounds = 0
        while not appending.done():
            await damage(pool, "emails", "status = 'failed'")
            await rebuilding.rebuild(pool, emails)
            rounds += 1
        await appending
        await eventually(lambda: _is_settled(emails), within=30)
        await rebuilding.rebuild(pool, emails)
    assert rounds > 1
    rebuilt = await dump.digest(pool)
    await empty(pool)
    for item in await appending:
        await store.project(pool, [item])
    assert await dump.digest(pool) == rebuilt


async def test_an_event_that_comes_while_its_email_is_rebuilt_is_not_lost(
    pool: asyncpg.Pool, emails: log.Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = a_request()._replace(sequence=1)
    await store.project(pool, [request])
    await pool.execute("UPDATE projector.emails SET subject = 'wrong'")
    sent = delivery.Sent(occurred_at=NOON, round=1, attempt=1)
    coming: list[asyncio.Task[set[int]]] = []
    read = archive.read

    async def read_and_be_overtaken(connection: Any, keys: Sequence[archive.Key]) -> archive.History:
        history = await read(connection, keys)
        item = a_record(sent, email_id=request.email_id, sequence=2)
        coming.append(asyncio.create_task(store.project(pool, [item])))
        await asyncio.wait(coming, timeout=0.5)
        return history

    monkeypatch.setattr(archive, "read", read_and_be_overtaken)
    await rebuilding.rebuild(pool, emails)
    assert await coming[0] == {2}
    row = await pool.fetchrow("SELECT status, subject FROM projector.emails")
    assert row is not None
    assert tuple(row) == ("sent", "Welcome")


async def _is_settled(emails: log.Log) -> bool:
    info = await emails.client.jetstream().consumer_info(topology.LOG, "projector")
    return not info.num_ack_pending and not info.num_pending


async def test_one_workspace_is_rebuilt_without_touching_another(pool: asyncpg.Pool, emails: log.Log) -> None:
    await store.project(pool, histories(seed=5, emails=100))
    await pool.execute("UPDATE projector.emails SET status = 'failed', subject = 'wrong'")
    await rebuilding.rebuild(pool, emails, workspace="acme")
    wrong = await pool.fetch("SELECT DISTINCT workspace FROM projector.emails WHERE subject = 'wrong'")
    assert [workspace for (workspace,) in wrong] == ["zen"]


async def test_a_row_whose_request_is_in_no_archive_is_left_alone(
    pool: asyncpg.Pool, emails: log.Log
) -> None:
    await store.project(pool, histories(seed=6, emails=20))
    live = [line async for line in dump.dump(pool) if line.startswith("emails ")]
    await pool.execute("DELETE FROM projector.events WHERE type = 'sendlog.email.requested.v1'")
    report = await rebuilding.rebuild(pool, emails)
    assert report.incomplete == report.emails > 0
    assert [line async for line in dump.dump(pool) if line.startswith("emails ")] == live


async def test_poison_in_the_log_does_not_stop_a_rebuild(
    pool: asyncpg.Pool, emails: log.Log, nats_url: str
) -> None:
    stream = emails.client.jetstream()
    await stream.publish("emails.default.poison.requested.now", b"\xff")
    await stream.publish(
        f"emails.default.{a_request().email_id}.teleported",
        b"{}",
        headers={"ce-id": "x", "ce-type": "sendlog.email.teleported.v1"},
    )
    too_long = a_request(batch_id="".join(chr(0x4E00 + n % 20000) for n in range(0, 400_000, 7)))
    await _appended(nats_url, [a_request(), too_long, a_request()])
    report = await rebuilding.rebuild(pool, emails)
    assert (report.rearchived, report.unreadable) == (2, 2)


async def test_progress_is_told_and_ends_at_the_whole(
    pool: asyncpg.Pool, emails: log.Log, nats_url: str
) -> None:
    records = await _appended(nats_url, histories(seed=7, emails=60))
    await store.project(pool, records)
    told: list[tuple[int, int]] = []
    await rebuilding.rebuild(pool, emails, on_progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (2 * len(records), 2 * len(records))  # once in the log, once in the archive


async def test_the_commands_rebuild_and_dump(wanted: Settings, pool: asyncpg.Pool) -> None:
    await store.project(pool, histories(seed=8, emails=30))
    await pool.execute("TRUNCATE projector.emails")
    code, out = await _run(wanted, "rebuild", "--json")
    assert code == 0
    lines = [msgspec.json.decode(line) for line in out.splitlines()]
    assert lines[-1]["finished"]
    assert lines[-1]["rewritten"] == 30
    code, out = await _run(wanted, "dump", "--hash")
    assert (code, out.strip()) == (0, await dump.digest(pool))
    nowhere = msgspec.structs.replace(wanted, database_url="postgresql://nobody@127.0.0.1:1/none")
    code, out = await _run(nowhere, "rebuild")
    assert code == 1
    assert out.startswith("rebuild: ")


async def _run(wanted: Settings, command: str, *options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.projector.{command}",
        *options,
        env={
            "SENDLOG_NATS_URL": wanted.nats_url,
            "SENDLOG_DATABASE_URL": wanted.database_url,
            "SENDLOG_CONTENT_URL": wanted.content_url,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
