"""Waiting for the account's turn: credit, order, holds, and credit that would leak away."""

import asyncio
from datetime import timedelta

from shared.events import delivery, record
from shared.runtime import log, topology
from shared.runtime.publisher import Publisher
from tests.controls import scheduling
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.scheduling import a_claim, a_deferral, a_sent, follow, names, now, releases, tell

World = tuple[log.Log, Publisher]


async def test_a_mail_without_a_slot_is_released_at_once(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    item = a_request()
    async with scheduling.scheduling(nats_url, database_url):
        await publisher.append(item, guard=0)
        await tell(publisher, a_deferral(item))
        (released,) = await eventually(lambda: releases(story, item), within=1)
        assert released.round == 2


async def test_no_more_is_out_than_the_credit_until_something_comes_back(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=2)
    items = [a_request(release="turn", batch_id="b") for _ in range(100)]
    async with scheduling.scheduling(nats_url, database_url), scheduling.released(nats_url) as out:
        await asyncio.gather(*(publisher.append(item, guard=0) for item in items))
        await eventually(lambda: len(out) == 4)
        await eventually(lambda: scheduling.states(database_url, *["released"] * 4, *["waiting"] * 96))
        for finished in range(1, 5):
            await tell(publisher, a_sent(out[finished - 1]))
            await eventually(lambda count=finished: len(out) == count + 4)  # type: ignore[misc]
        assert len({item.email_id for item in out}) == len(out)


async def test_credit_grows_with_what_the_account_gets_done(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=2)
    items = [a_request(release="turn", batch_id="b") for _ in range(2000)]
    async with (
        scheduling.scheduling(nats_url, database_url),
        scheduling.dispatching(nats_url) as out,
    ):
        await asyncio.gather(*(publisher.append(item, guard=0) for item in items))
        await eventually(lambda: len(out) == 2000, within=20)
        assert len({item.email_id for item in out}) == 2000


async def test_single_sends_leave_before_bulk_however_long_that_waits(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=1)
    bulk = [a_request(release="turn", batch_id="b") for _ in range(10)]
    async with scheduling.scheduling(nats_url, database_url), scheduling.released(nats_url) as out:
        await tell(publisher, *bulk)
        await eventually(lambda: len(out) == 2)
        single = [a_request(at=now()) for _ in range(3)]
        await tell(publisher, *(a_deferral(item) for item in single))
        await eventually(lambda: scheduling.states(database_url, *["released"] * 2, *["waiting"] * 11))
        for finished in range(5):
            await eventually(lambda count=finished: len(out) > count)  # type: ignore[misc]
            await tell(publisher, a_sent(out[finished]))
        await eventually(lambda: len(out) >= 7)
        assert [item.email_id for item in out[2:5]] == [item.email_id for item in single]
        assert {item.email_id for item in out[5:]} <= {item.email_id for item in bulk}


async def test_nothing_of_a_held_account_is_released_before_it_can_go_on(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=2)
    items = [a_request(release="turn", batch_id="b") for _ in range(20)]
    async with scheduling.scheduling(nats_url, database_url), scheduling.released(nats_url) as out:
        until = now() + timedelta(seconds=2)
        first = a_request()
        await tell(publisher, a_deferral(first, code="rate_limited", next_attempt_at=until))
        await eventually(lambda: scheduling.states(database_url, "waiting"))
        await tell(publisher, *items)
        await eventually(lambda: scheduling.states(database_url, *["waiting"] * 21))
        await eventually(lambda: len(out) == 4, within=5)
        assert min(item.event.occurred_at for item in out) >= until
        assert min(item.event.occurred_at for item in out) < until + timedelta(seconds=0.5)


async def test_another_reason_holds_its_own_mail_only(world: World, nats_url: str, database_url: str) -> None:
    story, publisher = world
    item, other = a_request(), a_request(release="turn")
    async with scheduling.scheduling(nats_url, database_url):
        hour = now() + timedelta(hours=1)
        await tell(publisher, a_deferral(item, code="450", next_attempt_at=hour), other)
        await eventually(lambda: releases(story, other))
        assert await names(story, item) == ["deferred"]


async def test_a_hold_ends_when_the_account_is_changed(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=2)
    item = a_request()
    async with scheduling.scheduling(nats_url, database_url):
        until = now() + timedelta(hours=1)
        await tell(publisher, a_deferral(item, code="account_disabled", next_attempt_at=until))
        waiting = a_request(release="turn")
        await tell(publisher, waiting)
        await eventually(lambda: scheduling.states(database_url, "waiting", "waiting"))
        assert await releases(story, waiting) == []
        await scheduling.store_account(story.client, changed_at=now(), connections=2)
        await eventually(lambda: releases(story, waiting), within=5)


async def test_a_hold_does_not_keep_a_mail_past_its_deadline(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    holding = a_deferral(a_request(), code="breaker_open", next_attempt_at=now() + timedelta(hours=1))
    item = a_request(release="turn", expires_at=now() + timedelta(seconds=1.5))
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, holding)
        await eventually(lambda: scheduling.states(database_url, "waiting"))
        await tell(publisher, item)
        await eventually(lambda: _is(story, item, ["requested", "expired"]), within=5)


async def test_mail_of_an_account_that_was_deleted_gets_a_deadline(
    world: World, nats_url: str, database_url: str
) -> None:
    """Held and never released, it would wait for ever."""
    _, publisher = world
    clock = scheduling.Clock()
    async with scheduling.scheduling(nats_url, database_url, clock):
        until = now() + timedelta(hours=1)
        await tell(publisher, a_deferral(a_request(), code="account_deleted", next_attempt_at=until))
        await eventually(lambda: scheduling.states(database_url, "waiting"))
        await tell(publisher, a_request(release="turn"))
        query = "SELECT expires_at FROM scheduler.waiting WHERE reason IS NULL AND expires_at IS NOT NULL"
        await eventually(lambda: scheduling.states(database_url, "waiting", "waiting"))
        clock.ahead = timedelta(minutes=2)
        (row,) = await eventually(lambda: scheduling.rows(database_url, query), within=15)
        assert timedelta(hours=71) < row["expires_at"] - now() < timedelta(hours=73)


async def test_an_outcome_the_scheduler_never_got_does_not_use_up_the_credit(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=1)
    items = [a_request(release="turn") for _ in range(4)]
    clock = scheduling.Clock()
    async with scheduling.scheduling(nats_url, database_url, clock), scheduling.released(nats_url) as out:
        await tell(publisher, *items)
        await eventually(lambda: len(out) == 2)
        await eventually(lambda: scheduling.states(database_url, *["released"] * 2, *["waiting"] * 2))
        async with scheduling.deaf(story):
            await tell(publisher, a_sent(out[0]))
        clock.ahead = timedelta(minutes=6)
        await eventually(lambda: len(out) == 3, within=15)
        await eventually(
            lambda: scheduling.states(database_url, "done", *["released"] * 2, "waiting"), within=15
        )


async def test_a_release_that_became_a_dead_letter_does_not_use_up_the_credit(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=1)
    items = [a_request(release="turn") for _ in range(3)]
    clock = scheduling.Clock()
    async with scheduling.scheduling(nats_url, database_url, clock), scheduling.released(nats_url) as out:
        await tell(publisher, *items)
        await eventually(lambda: len(out) == 2)
        dead = f"dead.{topology.DISPATCHER.name}.{record.nats_subject(out[0])}"
        await story.client.jetstream().publish(dead, b"poison")
        clock.ahead = timedelta(minutes=6)
        await eventually(lambda: len(out) == 3, within=15)


async def test_a_deferral_overtaken_by_another_dispatcher_is_not_released_into_its_attempt(
    world: World, nats_url: str, database_url: str
) -> None:
    """A stalled dispatcher wakes up and says 450 while the one that took over is still sending."""
    story, publisher = world
    item = a_request()
    late = a_deferral(item, code="450", claim_id="stalled", attempts=1)
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item, a_claim(item, 1, "stalled"), a_claim(item, 2, "heir"), late)
        await eventually(lambda: scheduling.states(database_url, "released"))
        assert await releases(story, item) == []
        await tell(publisher, follow(item, delivery.Sent(occurred_at=now(), round=2, claim_id="heir")))
        await eventually(lambda: scheduling.states(database_url, "done"))
        assert await releases(story, item) == []


async def _is(story: log.Log, item: record.Record, expected: list[str]) -> bool:
    return await names(story, item) == expected
