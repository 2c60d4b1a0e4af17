"""A projector on a real log and a real database: nothing late, nothing lost, poison set aside."""

import asyncio
import random
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import asyncpg
import msgspec
import nats
import pytest
from nats.aio.client import Client

from services.bootstrap import database as bootstrap
from services.projector import app, rows, store
from services.projector.settings import Settings
from shared.events import delivery, fold, record
from shared.events.base import EmailId
from shared.runtime import metrics, postgres, topology
from shared.runtime.publisher import Publisher
from tests.controls import runtime
from tests.controls.emails import NOON, a_record, a_request
from tests.controls.eventually import eventually
from tests.controls.servers import PostgresServer
from tests.integration.projector.histories import histories

_IS_LISTED = "SELECT true FROM projector.emails WHERE email_id = $1"


@pytest.fixture
async def publisher(nats_url: str) -> AsyncIterator[Publisher]:
    async with runtime.open_log(nats_url) as (_, publisher):
        yield publisher


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    yield client
    await client.close()


async def _append(publisher: Publisher, records: list[record.Record]) -> None:
    """Append in order, email by email: what a guard would have enforced."""
    lanes: dict[str, list[record.Record]] = {}
    for item in records:
        lanes.setdefault(item.email_id, []).append(item)

    async def lane(items: list[record.Record]) -> None:
        for item in items:
            await publisher.append(item)

    await asyncio.gather(*(lane(items) for items in lanes.values()))


async def _is_settled(client: Client) -> bool:
    info = await client.jetstream().consumer_info(topology.LOG, "projector")
    return not info.num_ack_pending and not info.num_pending


async def _rows_are_right(pool: asyncpg.Pool, records: list[record.Record]) -> None:
    stored = {
        str(email_id): rows.decode_state(state)
        for email_id, state in await pool.fetch("SELECT email_id, state FROM projector.emails")
    }
    for email_id in {item.email_id for item in records}:
        expected = fold.fold(item for item in records if item.email_id == email_id)
        assert email_id in stored, "there is no row"
        expected.sequence = stored[email_id].sequence
        assert stored[email_id] == expected


async def _dead_letters(client: Client) -> list[dict[str, str]]:
    stream = client.jetstream()
    state = (await stream.stream_info(topology.DEAD_LETTERS)).state
    found = [await stream.get_msg(topology.DEAD_LETTERS, seq=n + 1) for n in range(state.messages)]
    return [dict(message.headers or {}) for message in found]


def _readyz(port: int) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status, msgspec.json.decode(answer.read())["checks"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, msgspec.json.decode(error.read())["checks"]


async def test_what_is_appended_is_listed_at_once(
    wanted: Settings, pool: asyncpg.Pool, publisher: Publisher, client: Client
) -> None:
    async with app.assemble(wanted):
        for _ in range(5):
            request = a_request()
            began = asyncio.get_running_loop().time()
            await publisher.append(request, guard=0)
            await eventually(partial(pool.fetchval, _IS_LISTED, request.email_id), every=0.005)
            assert asyncio.get_running_loop().time() - began < 3
        await eventually(lambda: _is_settled(client))


async def test_two_projectors_share_the_log_and_lose_nothing(
    wanted: Settings, pool: asyncpg.Pool, publisher: Publisher, client: Client, free_port: int
) -> None:
    records = histories(seed=1, emails=400)
    other = msgspec.structs.replace(wanted, health_port=free_port)
    async with app.assemble(wanted), app.assemble(other):
        await _append(publisher, records)
        await eventually(lambda: _is_settled(client), within=30)
        await _rows_are_right(pool, records)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("sendlog.email.requested.v9", b"{}"),
        ("sendlog.email.teleported.v1", b"{}"),
        ("sendlog.email.requested.v1", b'{"occurred_at": 5'),
        ("", b"\xff\0"),
    ],
)
async def test_a_record_nobody_can_read_goes_to_the_dead_letters(
    wanted: Settings, pool: asyncpg.Pool, publisher: Publisher, client: Client, kind: str, data: bytes
) -> None:
    before, after = a_request(), a_request()
    head = {"ce-type": kind, "ce-id": "poison"} if kind else {}
    async with app.assemble(wanted):
        await publisher.append(before)
        await client.jetstream().publish("emails.default.poison.requested.now", data, headers=head)
        await publisher.append(after)
        await eventually(lambda: _is_settled(client))
        await _rows_are_right(pool, [before, after])
    (letter,) = await _dead_letters(client)
    assert letter["sendlog-consumer"] == "projector"


async def test_a_record_the_database_refuses_is_found_among_its_neighbours(
    wanted: Settings, pool: asyncpg.Pool, publisher: Publisher, client: Client
) -> None:
    good = [a_request() for _ in range(60)]
    no_uuid = a_request()._replace(email_id=EmailId("not-an-email"))
    too_early = a_request(at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))))
    too_long = a_request(batch_id=random.Random(1).randbytes(50_000).hex())  # no index entry is so long
    # They are all there before the projector comes, so that they come in one batch.
    await _append(publisher, [*good[:20], no_uuid, *good[20:40], too_early, too_long, *good[40:]])
    before = metrics.DEAD_LETTERS.labels("projector", "NotAnEmail")._value.get()
    async with app.assemble(wanted):
        await eventually(lambda: _is_settled(client), within=20)
        await _rows_are_right(pool, good)
    letters = await _dead_letters(client)
    assert {letter["ce-id"] for letter in letters} == {
        item.event_id for item in (no_uuid, too_early, too_long)
    }
    assert metrics.DEAD_LETTERS.labels("projector", "NotAnEmail")._value.get() == before + 1
    assert await pool.fetchval("SELECT count(*) FROM projector.emails") == len(good)


async def test_a_fault_of_ours_costs_no_record_and_does_not_hold_up_its_neighbours(
    wanted: Settings,
    pool: asyncpg.Pool,
    publisher: Publisher,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = [a_request() for _ in range(40)]
    victim = records[17]
    broken, real = [True], store.project

    async def project(pool: asyncpg.Pool, given: list[record.Record], **options: float) -> set[int]:
        if broken[0] and any(item.event_id == victim.event_id for item in given):
            raise KeyError("our fault")
        return await real(pool, given, **options)

    monkeypatch.setattr(store, "project", project)
    await _append(publisher, records)
    async with app.assemble(wanted):
        others = [item for item in records if item is not victim]
        await eventually(lambda: _passes(_rows_are_right(pool, others)), within=10)
        assert not await _is_settled(client)
        _, checks = await asyncio.to_thread(_readyz, wanted.health_port)
        assert "our fault" in checks["records"]
        broken[0] = False
        await eventually(lambda: _is_settled(client), within=20)
        await _rows_are_right(pool, records)
    assert await _dead_letters(client) == []


async def _passes(check: object) -> bool:
    await check  # type: ignore[misc]
    return True


async def test_a_database_that_is_killed_is_waited_for_with_the_records_in_hand(
    nats_url: str, publisher: Publisher, client: Client, own_postgres: PostgresServer, wanted: Settings
) -> None:
    url = own_postgres.postgres.url(database="postgres")
    await bootstrap.migrate(url, None)
    records = histories(seed=3, emails=300)
    third = len(records) // 3
    redelivered = metrics.REDELIVERED.labels("projector")._value.get()
    async with app.assemble(msgspec.structs.replace(wanted, database_url=url)):
        await _append(publisher, records[:third])
        await asyncio.to_thread(own_postgres.kill)
        await _append(publisher, records[third : 2 * third])
        complaint = await eventually(lambda: asyncio.to_thread(_complaint, wanted.health_port))
        assert complaint is not None
        assert "database" in complaint
        await asyncio.to_thread(own_postgres.start)
        await _append(publisher, records[2 * third :])
        await eventually(lambda: _is_settled(client), within=40)
        assert (await asyncio.to_thread(_readyz, wanted.health_port))[0] == 200
        pool = await postgres.connect(url, size=1)
        await _rows_are_right(pool, records)
        await pool.close()
    assert metrics.REDELIVERED.labels("projector")._value.get() == redelivered


def _complaint(port: int) -> str | None:
    """Return what it says of the database while it is not ready for that reason alone."""
    status, checks = _readyz(port)
    return checks["database"] if status == 503 and checks["broker"] == "ok" else None


async def test_a_projector_starts_while_the_database_is_down(
    nats_url: str, publisher: Publisher, client: Client, own_postgres: PostgresServer, wanted: Settings
) -> None:
    url = own_postgres.postgres.url(database="postgres")
    await asyncio.to_thread(own_postgres.kill)
    request = a_request()
    async with app.assemble(msgspec.structs.replace(wanted, database_url=url)):
        await publisher.append(request)
        assert (await asyncio.to_thread(_readyz, wanted.health_port))[0] == 503
        await asyncio.to_thread(own_postgres.start)
        # Up, and empty: a schema that is not there yet is waited for as well.
        await bootstrap.migrate(url, None)
        await eventually(lambda: _is_settled(client), within=20)


async def test_what_is_in_hand_when_it_stops_comes_to_the_next(
    wanted: Settings, pool: asyncpg.Pool, publisher: Publisher, client: Client
) -> None:
    records = histories(seed=5, emails=300)
    appending = asyncio.create_task(_append(publisher, records))
    while not appending.done():
        async with app.assemble(wanted):
            await eventually(lambda: pool.fetchval("SELECT count(*) > 0 FROM projector.emails"), within=10)
    await appending
    async with app.assemble(wanted):
        await eventually(lambda: _is_settled(client), within=30)
    await _rows_are_right(pool, records)


async def test_a_log_that_was_made_anew_is_projected_from_its_beginning(
    wanted: Settings, pool: asyncpg.Pool, client: Client, nats_url: str
) -> None:
    """Sequences begin again when the log is lost: nothing may rely on them being higher."""
    request = a_request(at=NOON)
    claim = delivery.Sending(
        occurred_at=NOON,
        round=1,
        attempt=1,
        claim_id="c",
        account_id=request.event.email.account_id,  # type: ignore[attr-defined]
    )
    await store.project(pool, [request._replace(sequence=5000)])
    async with app.assemble(wanted), runtime.open_log(nats_url) as (_, publisher):
        await publisher.append(a_record(claim, email_id=request.email_id))
        await eventually(lambda: _is_settled(client))
    assert await pool.fetchval("SELECT status FROM projector.emails") == "sending"


async def test_progress_moves_with_the_clock_when_there_is_nothing_to_do(
    wanted: Settings, pool: asyncpg.Pool, publisher: Publisher
) -> None:
    async with app.assemble(wanted):
        sequence = await publisher.append(a_request())
        appended = datetime.now(UTC)

        async def is_beyond() -> bool:
            row = await pool.fetchrow("SELECT sequence, projected_at FROM projector.progress")
            return row is not None and row[0] >= sequence and row[1] > appended

        await eventually(is_beyond, within=10)
