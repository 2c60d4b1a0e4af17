"""What goes wrong around a scheduler: replicas, order, crashes, a database or a broker that is away."""

import asyncio
import json
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

from services.bootstrap import database as schemas
from services.scheduler import decisions
from shared.events.base import EmailId
from shared.runtime import log, topology
from shared.runtime.publisher import Publisher
from tests.controls import runtime, scheduling
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.scheduling import a_deferral, names, now, releases, tell
from tests.controls.servers import NatsServer, PostgresServer

World = tuple[log.Log, Publisher]


async def test_two_schedulers_never_release_twice(world: World, nats_url: str, database_url: str) -> None:
    _, publisher = world
    items = [a_request(release="at", scheduled_at=now() + timedelta(seconds=1)) for _ in range(400)]
    async with (
        scheduling.scheduling(nats_url, database_url),
        scheduling.scheduling(nats_url, database_url),
        scheduling.dispatching(nats_url) as out,
    ):
        await asyncio.gather(*(publisher.append(item, guard=0) for item in items))
        await eventually(lambda: len(out) >= 400, within=20)
        await eventually(lambda: scheduling.states(database_url, *["done"] * 400), within=10)
        assert sorted(item.email_id for item in out) == sorted(item.email_id for item in items)


async def test_two_schedulers_share_one_account_s_credit(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=2)
    items = [a_request(release="turn") for _ in range(100)]
    async with (
        scheduling.scheduling(nats_url, database_url),
        scheduling.scheduling(nats_url, database_url),
        scheduling.released(nats_url) as out,
    ):
        await asyncio.gather(*(publisher.append(item, guard=0) for item in items))
        await eventually(lambda: scheduling.states(database_url, *["released"] * 4, *["waiting"] * 96))
        assert len(out) == 4


async def test_a_release_whose_scheduler_died_before_writing_it_down_is_not_said_again(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    (item,) = await tell(publisher, a_request(release="at", scheduled_at=now() - timedelta(seconds=1)))
    async with scheduling.table(database_url) as table:
        await scheduling.put(table, item)
        (row,) = await scheduling.due(table)
    event = decisions.say(row, now())
    assert event is not None
    await publisher.append(decisions.as_record(row, event), guard=item.sequence)
    async with scheduling.scheduling(nats_url, database_url):
        await eventually(lambda: scheduling.states(database_url, "released"))
        assert await names(story, item) == ["requested", "released"]


async def test_schedulers_that_are_killed_again_and_again_release_everything_once(
    world: World, nats_url: str, database_url: str, home: Path
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=500)
    items = [a_request(release="turn") for _ in range(900)]
    process = scheduling.SchedulerProcess(home, nats_url, database_url)
    async with scheduling.dispatching(nats_url) as out:
        for start in range(0, 900, 300):
            await asyncio.to_thread(process.start)
            seen = len(out)
            some = items[start : start + 300]
            await asyncio.gather(*(publisher.append(item, guard=0) for item in some))
            await eventually(lambda count=seen: len(out) > count + 50, within=20)  # type: ignore[misc]
            process.kill()
        await asyncio.to_thread(process.start)
        await eventually(lambda: len(out) >= 900, within=40)
        await eventually(lambda: scheduling.states(database_url, *["done"] * 900), within=40)
        assert process.stop() == 0
    assert sorted(item.email_id for item in out) == sorted(item.email_id for item in items)


async def test_a_database_that_goes_away_and_comes_back_costs_nothing_but_time(
    world: World, nats_url: str, own_postgres: PostgresServer, home: Path
) -> None:
    story, publisher = world
    await schemas.migrate(own_postgres.url, None)
    before = [a_request(release="at", scheduled_at=now() + timedelta(seconds=1)) for _ in range(50)]
    during = [a_request(release="turn") for _ in range(50)]
    process = scheduling.SchedulerProcess(home, nats_url, own_postgres.url)
    await asyncio.to_thread(process.start)
    pid = process.pid
    async with scheduling.dispatching(nats_url) as out:
        await asyncio.gather(*(publisher.append(item, guard=0) for item in before))
        await eventually(lambda: scheduling.rows(own_postgres.url))
        await asyncio.to_thread(own_postgres.kill)
        await asyncio.gather(*(publisher.append(item, guard=0) for item in during))
        await eventually(lambda: "database" in _problems(process.url), within=15)
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: len(out) >= 100, within=30)
        await eventually(lambda: _problems(process.url) == {}, within=15)
        await eventually(lambda: scheduling.states(own_postgres.url, *["done"] * 100), within=15)
    assert process.pid == pid
    assert process.stop() == 0
    assert sorted(item.email_id for item in out) == sorted(item.email_id for item in [*before, *during])
    assert (await story.client.jetstream().consumer_info(topology.LOG, "scheduler")).num_ack_pending == 0


async def test_a_scheduler_starts_without_its_database_and_begins_when_it_is_there(
    world: World, nats_url: str, own_postgres: PostgresServer
) -> None:
    story, publisher = world
    item = a_request(release="turn")
    await asyncio.to_thread(own_postgres.kill)
    async with scheduling.scheduling(nats_url, own_postgres.url):
        await publisher.append(item, guard=0)
        await asyncio.to_thread(own_postgres.start)
        await schemas.migrate(own_postgres.url, None)
        await eventually(lambda: releases(story, item), within=15)


async def test_releases_wait_for_a_broker_that_is_away(own_nats: NatsServer, database_url: str) -> None:
    await runtime.bootstrap(own_nats.url)
    items = [a_request(release="at", scheduled_at=now() + timedelta(seconds=1)) for _ in range(50)]
    async with scheduling.scheduling(own_nats.url, database_url):
        async with runtime.open_log(own_nats.url) as (story, publisher):
            await scheduling.store_account(story.client, connections=50)
            await asyncio.gather(*(publisher.append(item, guard=0) for item in items))
            await eventually(lambda: scheduling.states(database_url, *["waiting"] * 50))
        await asyncio.to_thread(own_nats.kill)
        await asyncio.sleep(1.5)  # their time passes while nothing can be said
        await asyncio.to_thread(own_nats.start)
        await eventually(lambda: scheduling.states(database_url, *["released"] * 50), within=20)
        async with runtime.open_log(own_nats.url) as (story, _):
            for item in items:
                assert await names(story, item) == ["requested", "released"]


async def test_a_finished_mail_is_remembered_until_its_last_record_is_trimmed(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    item, other = a_request(release="turn"), a_request(release="turn")
    async with scheduling.scheduling(nats_url, database_url), scheduling.dispatching(nats_url) as out:
        await tell(publisher, item)
        await eventually(lambda: scheduling.states(database_url, "done"))
        deferral = a_deferral(item, 1, code="450", claim_id="late")
        await tell(publisher, deferral, other)  # what nobody expects any more must not wake it up
        await eventually(lambda: scheduling.states(database_url, "done", "done"))
        assert [found.email_id for found in out] == [item.email_id, other.email_id]
        await eventually(lambda: _is_settled(story))
        last = (await story.client.jetstream().stream_info(topology.LOG)).state.last_seq
        (kept,) = await scheduling.rows(database_url, "SELECT max(sequence) AS at FROM scheduler.waiting")
        await story.client.jetstream().purge_stream(topology.LOG, seq=kept["at"])
        await eventually(lambda: scheduling.states(database_url, "done"), within=15)
        await story.client.jetstream().purge_stream(topology.LOG, seq=last + 1)
        await eventually(lambda: scheduling.states(database_url), within=15)


async def test_a_mail_whose_records_are_all_trimmed_is_released_all_the_same(
    world: World, nats_url: str, database_url: str
) -> None:
    """Scheduled a year ahead, the row's payload is all there is."""
    story, publisher = world
    item = a_request(release="at", scheduled_at=now() + timedelta(seconds=2))
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item)
        await eventually(lambda: scheduling.states(database_url, "waiting"))
        await story.client.jetstream().purge_stream(topology.LOG)
        (released,) = await eventually(lambda: releases(story, item))
        assert released.round == 1
        assert await names(story, item) == ["released"]


async def test_poison_is_set_aside_and_its_neighbours_go_on(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    stream = story.client.jetstream()
    before, after = a_request(release="turn"), a_request(release="turn")
    no_uuid = a_request(release="turn")._replace(email_id=EmailId("poison"))
    too_big = a_deferral(a_request(), 2**40)
    no_email = a_deferral(a_request(), email=None)
    nul = a_request(release="turn", account_id="a\0b")
    poison = [no_uuid, too_big, no_email, nul]
    async with scheduling.scheduling(nats_url, database_url), scheduling.released(nats_url) as out:
        await asyncio.gather(*(publisher.append(item) for item in [before, *poison, after]))
        await eventually(lambda: {item.email_id for item in out} == {before.email_id, after.email_id})
        await eventually(lambda: _is_settled(story))
        dead = await stream.stream_info(topology.DEAD_LETTERS)
        assert dead.state.messages == 4


async def test_a_row_that_cannot_be_read_holds_up_nobody_and_still_expires(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    soon = scheduling.later(2)
    damaged, mortal = a_request(release="turn"), a_request(release="turn", expires_at=soon)
    async with scheduling.table(database_url) as table:
        await scheduling.put(table, *await tell(publisher, damaged, mortal))
    await scheduling.rows(database_url, "UPDATE scheduler.waiting SET payload = 'x' RETURNING 1")
    whole = a_request(release="turn")
    async with scheduling.scheduling(nats_url, database_url), scheduling.released(nats_url) as out:
        await tell(publisher, whole)
        await eventually(lambda: [item.email_id for item in out] == [whole.email_id])
        await eventually(lambda: scheduling.states(database_url, "done", "released", "waiting"))
        assert await names(story, mortal) == ["requested", "expired"]
        assert await names(story, damaged) == ["requested"]
    (row,) = await scheduling.rows(
        database_url, "SELECT due_at FROM scheduler.waiting WHERE state = 'waiting'"
    )
    assert row["due_at"] > scheduling.later(200), "it would be looked at again and again"


async def test_a_scheduler_that_is_asked_to_stop_finishes_its_round(
    world: World, nats_url: str, database_url: str, home: Path
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=500)
    items = [a_request(release="turn") for _ in range(600)]
    process = scheduling.SchedulerProcess(home, nats_url, database_url)
    await asyncio.to_thread(process.start)
    async with scheduling.released(nats_url) as out:
        await asyncio.gather(*(publisher.append(item, guard=0) for item in items))
        await eventually(lambda: len(out) > 10, within=10)
        assert await asyncio.to_thread(process.stop) == 0
        said = len(out)
    query = "SELECT * FROM scheduler.waiting WHERE state = 'released'"
    assert len(await scheduling.rows(database_url, query)) == said


async def _is_settled(story: log.Log) -> bool:
    info = await story.client.jetstream().consumer_info(topology.LOG, "scheduler")
    return (info.num_ack_pending, info.num_pending) == (0, 0)


def _problems(url: str) -> dict[str, str]:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as refusal:
        said = json.load(refusal)
    return {name: why for name, why in said["checks"].items() if why != "ok"}
