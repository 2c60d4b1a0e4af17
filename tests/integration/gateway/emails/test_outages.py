"""What the door says while one of the servers behind it is gone."""

import asyncio
import random
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.controls import servers
from tests.controls.eventually import eventually
from tests.integration.gateway.emails import door as doors
from tests.integration.gateway.emails.door import Behind, Door

LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.fixture
async def behind(own_nats: servers.NatsServer, own_postgres: servers.PostgresServer) -> AsyncIterator[Behind]:
    """What stands behind a gateway whose servers may be killed."""
    await doors.prepare(own_nats.url, own_postgres.url)
    async with doors.behind(own_nats.url, own_postgres.url) as opened:
        yield opened


@pytest.fixture
async def door(
    behind: Behind, own_nats: servers.NatsServer, own_postgres: servers.PostgresServer, home: Path
) -> AsyncIterator[Door]:
    """A client of a gateway whose servers may be killed."""
    gateway = doors.Gateway(own_nats.url, own_postgres.url, home).start()
    async with doors.open_door(behind, gateway.url) as opened:
        yield opened
    gateway.kill()


async def _waits(door: Door, email_id: str) -> bool:
    return (await door.show(email_id)).status == 200


async def test_without_postgres_mail_is_taken_read_and_cancelled(
    door: Door, behind: Behind, own_postgres: servers.PostgresServer
) -> None:
    trimmed = (await door.sent())["id"]
    await behind.project(trimmed)
    await behind.trim(trimmed)
    own_postgres.kill()
    first = await door.sent("k", scheduled_at=LATER)
    assert (await door.sent("k", scheduled_at=LATER)) == first
    assert (await door.send("k")).status == 409
    shown = await door.show(first["id"], "content,attempts,events")
    assert (shown.data["status"], shown.data["text"]) == ("scheduled", "Hello.")
    assert (await door.ask("DELETE", f"/emails/{first['id']}")).status == 200
    assert (await door.show(first["id"])).data["status"] == "cancelled"
    for answer in (
        await door.show(trimmed),
        await door.show(str(uuid.uuid4())),
        await door.ask("DELETE", f"/emails/{trimmed}"),
        await door.ask("PATCH", f"/emails/{trimmed}", {"scheduled_at": LATER}),
        await door.list_(),
    ):
        assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
        assert "Retry-After" in answer.headers
    own_postgres.start()
    await eventually(lambda: _waits(door, trimmed), within=10)


async def test_a_postgres_that_hangs_holds_up_nobody_for_long(
    door: Door, own_postgres: servers.PostgresServer
) -> None:
    await door.sent("warm")
    own_postgres.pause()
    began = time.monotonic()
    answers = await asyncio.gather(
        *(door.send(f"k{n}") for n in range(40)), *(door.send() for _ in range(40))
    )
    took = time.monotonic() - began
    own_postgres.resume()
    assert {answer.status for answer in answers} == {202}
    assert took < 2


async def test_a_list_that_takes_too_long_says_what_to_do(door: Door, behind: Behind) -> None:
    async with behind.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE projector.emails")
        answer = await door.list_("subject=x")
    assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
    assert "created_after" in answer.error["message"]


async def test_without_the_broker_mail_is_refused_in_time_and_rows_are_shown(
    door: Door, behind: Behind, own_nats: servers.NatsServer
) -> None:
    projected, fresh = (await door.sent())["id"], (await door.sent())["id"]
    await behind.project(projected)
    own_nats.kill()
    began = time.monotonic()
    answers = await asyncio.gather(*(door.send("k" if n % 2 else None) for n in range(20)))
    assert time.monotonic() - began < 2.5
    for answer in answers:
        assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
        assert "Retry-After" in answer.headers
        assert "Idempotency-Key" in answer.error["message"]
    assert (await door.show(projected)).data["status"] == "queued"
    assert (await door.list_()).body["meta"]["total"] == 1
    assert (await door.show(fresh)).status == 503
    assert (await door.ask("DELETE", f"/emails/{projected}")).status == 503
    own_nats.start()
    await eventually(lambda: _waits(door, fresh), within=10)

    async def takes_mail() -> bool:
        return (await door.send("k")).status == 202

    await eventually(takes_mail, within=10)


async def test_a_full_log_takes_no_new_mail_and_lets_the_old_go_on(
    door: Door, behind: Behind, own_nats: servers.NatsServer, own_postgres: servers.PostgresServer
) -> None:
    waiting = (await door.sent("first", scheduled_at=LATER))["id"]
    await doors.prepare(own_nats.url, own_postgres.url, log_bytes=2_000_000)
    noise = random.Random(7)
    before = await behind.emails_in_log()

    async def is_full() -> bool:
        answer = await door.send(text=noise.randbytes(40_000).hex())
        assert answer.status in (202, 503)
        return answer.status == 503

    await eventually(is_full, within=20, every=0.05)
    assert await behind.emails_in_log() > before
    answer = await door.send()
    assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
    assert "full" in answer.error["message"]
    # Also while its row is not there yet: a repeat must not be told that nothing was sent.
    assert (await door.sent("first", scheduled_at=LATER))["id"] == waiting
    await behind.project(waiting)
    assert (await door.sent("first", scheduled_at=LATER))["id"] == waiting
    assert (await door.ask("DELETE", f"/emails/{waiting}")).status == 200
    assert (await door.show(waiting)).data["status"] == "cancelled"


async def test_a_content_store_that_takes_nothing_refuses_what_needs_it(door: Door, home: Path) -> None:
    large = random.Random(8).randbytes(200_000).hex()
    first = await door.sent("k", text=large)
    shutil.rmtree(home / "content")
    (home / "content").write_text("in the way")
    answer = await door.send(text=random.Random(7).randbytes(200_000).hex())
    assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
    assert "content" in answer.error["message"]
    assert await door.sent("k", text=large) == first
    await door.sent()
    (home / "content").unlink()
    (home / "content").mkdir()
    await door.sent(text=random.Random(7).randbytes(200_000).hex())
