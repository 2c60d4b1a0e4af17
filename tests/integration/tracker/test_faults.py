"""Hits while something is down, full or killed: what was answered is in the log once, and nobody waited for it."""

import asyncio
import os
import socket
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import aiohttp
import asyncpg

from services.bootstrap import database as schemas
from services.projector import store as projector
from shared.events import record, signal
from tests.controls import emails, servers, tracking
from tests.controls.eventually import eventually
from tests.controls.tracking import TrackerProcess
from tests.integration.tracker.hits import Desk, a_desk


async def ids(desk: Desk, item: record.Record) -> list[str]:
    """Return the event ids of an email's hits, as often as the log has each."""
    history = await desk.log.history(item.workspace, item.email_id)
    return [found.event_id for found in history if isinstance(found.event, signal.Signal)]


async def test_links_and_pixels_work_with_the_broker_down_and_count_when_it_is_back(
    home: Path, own_nats: servers.NatsServer
) -> None:
    async with a_desk(home, own_nats.url) as desk:
        item = await desk.email()
        own_nats.kill()
        began = time.monotonic()
        for number in range(20):
            assert (
                await desk.tracker.ask(desk.tracker.link(item, f"https://a.test/{number % 2}"))
            ).status == 302
            assert (await desk.tracker.ask(desk.tracker.pixel(item))).status == 200
        assert time.monotonic() - began < 5
        ready, checks = await tracking.checks(desk.tracker)
        assert ready, "taken out of service, every link in every mail would be dead"
        assert checks["broker"] != "ok"
        own_nats.start()
        found = await desk.said(item, 40, within=30)
        assert not any(event.machine for event in found if isinstance(event, signal.Hit))
        assert len(set(await ids(desk, item))) == 40


async def test_an_unsubscribe_with_the_broker_down_is_answered_and_in_force_when_it_is_back(
    home: Path, own_nats: servers.NatsServer
) -> None:
    async with a_desk(home, own_nats.url) as desk:
        item = await desk.email("ann@world.test")
        own_nats.kill()
        began = time.monotonic()
        answered = await desk.tracker.ask(
            desk.tracker.unsubscribe(item), "POST", data={"List-Unsubscribe": "One-Click"}
        )
        assert answered.status == 200
        assert time.monotonic() - began < 4
        own_nats.start()
        await desk.said(item, within=30)
        assert await desk.suppressed("ann@world.test")


async def test_a_tracker_that_starts_without_its_broker_answers_and_takes_later(
    home: Path, own_nats: servers.NatsServer
) -> None:
    async with a_desk(home, own_nats.url) as desk:
        item = await desk.email()
        desk.tracker.stop()
        own_nats.kill()
        desk.tracker.start()
        assert (await desk.tracker.ask(desk.tracker.link(item))).status == 302
        assert (await tracking.checks(desk.tracker))[0]
        own_nats.start()
        await desk.said(item, within=60)


async def test_killed_between_the_journal_and_the_log_nothing_is_lost(desk: Desk) -> None:
    items = [await desk.email() for _ in range(30)]
    for item in items:
        await desk.tracker.ask(desk.tracker.pixel(item))
    desk.tracker.kill()  # all of them are held: none is older than 2.2 s
    assert not [event for item in items for event in await tracking.signals(desk.log, item)]
    desk.tracker.start()
    for item in items:
        await desk.said(item)


async def test_killed_between_the_log_and_letting_go_a_hit_counts_once(desk: Desk) -> None:
    item = await desk.email()
    await desk.tracker.ask(desk.tracker.pixel(item))
    kept = {path.name: path.read_bytes() for path in desk.tracker.journal.glob("hits-*.log")}
    await desk.said(item)
    desk.tracker.kill()
    for path in desk.tracker.journal.glob("hits-*"):
        path.unlink()
    for name, data in kept.items():  # as if it had not come to letting go
        (desk.tracker.journal / name).write_bytes(data)
    desk.tracker.start()
    await eventually(lambda: not list(desk.tracker.journal.glob("hits-*.log")), within=15)
    assert len(set(await ids(desk, item))) == 1


async def test_what_was_let_go_is_not_taken_again_by_the_next_process(desk: Desk) -> None:
    items = [await desk.email() for _ in range(5)]
    for item in items:
        await desk.tracker.ask(desk.tracker.pixel(item))
    for item in items:
        await desk.said(item)
    await eventually(
        lambda: [path.read_text().count("\n") for path in desk.tracker.journal.glob("*.done")] == [5]
    )
    desk.tracker.kill()
    desk.tracker.start()
    assert (await desk.tracker.ask("/livez")).status == 200
    await eventually(lambda: not list(desk.tracker.journal.glob("hits-*.log")), within=10)
    assert [len(await ids(desk, item)) for item in items] == [1] * 5


async def test_it_stops_within_ten_seconds_with_what_it_held_in_the_log(desk: Desk) -> None:
    items = [await desk.email() for _ in range(20)]
    async with aiohttp.ClientSession() as idle:  # a client that keeps its connection
        await (await idle.get(f"{desk.tracker.url}/livez")).read()
        for item in items:
            await desk.tracker.ask(desk.tracker.pixel(item))
        began = time.monotonic()
        code = await asyncio.to_thread(desk.tracker.stop)
        assert (code, time.monotonic() - began < 10) == (0, True)
    assert [len(await ids(desk, item)) for item in items] == [1] * 20
    assert [path.name for path in desk.tracker.journal.iterdir()] == ["lock"]


async def test_it_stops_within_ten_seconds_with_the_broker_down(
    home: Path, own_nats: servers.NatsServer
) -> None:
    async with a_desk(home, own_nats.url) as desk:
        item = await desk.email()
        own_nats.kill()
        await desk.tracker.ask(desk.tracker.pixel(item))
        began = time.monotonic()
        assert await asyncio.to_thread(desk.tracker.stop) == 0, desk.tracker.tail()
        assert time.monotonic() - began < 10
        assert list(desk.tracker.journal.glob("hits-*.log"))
        own_nats.start()
        desk.tracker.start()
        await desk.said(item, within=30)


async def test_emails_the_log_has_let_go_of_are_found_and_wait_for_postgres(
    home: Path, clean_nats: str
) -> None:
    postgres = servers.PostgresServer(home)
    await asyncio.to_thread(postgres.start)
    try:
        await schemas.migrate(postgres.url, None)
        old = emails.a_request("ann@world.test", at=emails.NOON)._replace(sequence=1)
        sent = tracking.was_sent(old, emails.NOON + timedelta(minutes=1))._replace(sequence=2)
        async with asyncpg.create_pool(postgres.url, min_size=1, max_size=2) as pool:
            await projector.project(pool, [old, sent])
        postgres.kill()
        async with a_desk(home, clean_nats, postgres.url) as desk:
            fresh = await desk.email()
            assert (await desk.tracker.ask(desk.tracker.link(old))).status == 302
            assert (await desk.tracker.ask(desk.tracker.pixel(fresh))).status == 200
            await desk.said(fresh)
            assert not await ids(desk, old)
            await asyncio.to_thread(postgres.start)
            (clicked,) = await desk.said(old, within=30)
            assert (clicked.recipient, isinstance(clicked, signal.Clicked) and clicked.machine) == (
                "ann@world.test",
                False,
            )
    finally:
        postgres.kill()


async def test_a_journal_that_cannot_be_written_drops_the_hit_and_never_the_answer(desk: Desk) -> None:
    item = await desk.email("ann@world.test")
    away = desk.tracker.journal.rename(desk.tracker.journal.with_name("away"))
    pixel = await desk.tracker.ask(desk.tracker.pixel(item))
    link = await desk.tracker.ask(desk.tracker.link(item))
    left = await desk.tracker.ask(desk.tracker.unsubscribe(item), "POST", data={"page": "1"})
    assert (pixel.status, link.status, left.status) == (200, 302, 503)
    ready, checks = await tracking.checks(desk.tracker)
    assert ready
    assert "cannot be written" in checks["journal"]
    away.rename(desk.tracker.journal)
    assert (await desk.tracker.ask(desk.tracker.pixel(item))).status == 200
    assert len(await desk.said(item)) == 1


async def test_a_directory_another_tracker_uses_is_refused_in_a_sentence(desk: Desk) -> None:
    other = TrackerProcess(desk.home, desk.log.client.connected_url.geturl())  # type: ignore[union-attr]
    other.journal = desk.tracker.journal
    other.log = desk.home / "other.log"
    try:
        other.start()
    except AssertionError:
        assert "the journal is in use by another tracker" in other.tail()
    else:
        other.stop()
        raise AssertionError("two trackers write into one directory")


async def test_a_client_that_never_ends_its_request_keeps_nobody_else_waiting(desk: Desk) -> None:
    item = await desk.email()
    slow = [socket.create_connection(("127.0.0.1", desk.tracker.port)) for _ in range(200)]
    try:
        for one in slow:
            one.sendall(b"GET /t/o/")
        began = time.monotonic()
        assert (await desk.tracker.ask(desk.tracker.link(item))).status == 302
        assert time.monotonic() - began < 2
    finally:
        for one in slow:
            one.close()


async def test_what_is_not_http_is_told_so_in_plain_words(desk: Desk) -> None:
    for data in (
        b"HELLO\r\n\r\n",
        b"GET /" + b"x" * 50_000 + b" HTTP/1.1\r\n\r\n",
        os.urandom(200) + b"\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.tracker.port)
        writer.write(data)
        with suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.startswith(b"HTTP/1.1 4")
            assert b"aiohttp" not in answer.lower()
            assert b"Traceback" not in answer
        writer.close()
    assert (await desk.tracker.ask("/t/nothing")).status == 404


async def test_a_body_nobody_asked_for_does_no_harm(desk: Desk) -> None:
    item = await desk.email()
    for _ in range(2):
        answered = await desk.tracker.ask(desk.tracker.pixel(item), data=b"z" * 1_000_000)
        assert answered.status == 200
    assert len(await desk.said(item, 2)) == 2
