"""Waiting for a time: released then, moved, withdrawn, tried again, given up."""

import asyncio
from datetime import timedelta

import pytest

from shared.events import delivery, fold, record, schedule, status, submission
from shared.runtime import log
from shared.runtime.publisher import Publisher
from tests.controls import scheduling
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.scheduling import a_claim, a_deferral, follow, names, now, releases, tell

World = tuple[log.Log, Publisher]


async def test_a_scheduled_mail_is_released_at_its_time(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    due = now() + timedelta(seconds=1.5)
    item = a_request(release="at", scheduled_at=due)
    async with scheduling.scheduling(nats_url, database_url):
        await publisher.append(item, guard=0)
        (released,) = await eventually(lambda: releases(story, item))
        assert timedelta(0) <= released.occurred_at - due < timedelta(seconds=0.25)
        assert (released.round, released.attempts) == (1, 0)
        assert released.expires_at - released.occurred_at == timedelta(hours=72)
        assert released.email is not None
        assert released.email.body is not None
        assert isinstance(item.event, submission.Requested)
        assert released.email == item.event.email


async def test_a_mail_moved_to_an_earlier_time_is_released_then(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    item = a_request(release="at", scheduled_at=now() + timedelta(hours=1))
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item)
        await eventually(lambda: scheduling.rows(database_url))
        due = now() + timedelta(seconds=1)
        await tell(
            publisher, follow(item, submission.Rescheduled(occurred_at=now(), scheduled_at=due, revision=1))
        )
        (released,) = await eventually(lambda: releases(story, item))
        assert timedelta(0) <= released.occurred_at - due < timedelta(seconds=0.25)


async def test_a_mail_moved_to_a_later_time_is_not_released_before_it(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    item = a_request(release="at", scheduled_at=now() + timedelta(seconds=0.8))
    due = now() + timedelta(seconds=2)
    moved = follow(item, submission.Rescheduled(occurred_at=now(), scheduled_at=due, revision=1))
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item, moved)
        (released,) = await eventually(lambda: releases(story, item))
        assert timedelta(0) <= released.occurred_at - due < timedelta(seconds=0.25)


async def test_a_move_the_table_has_not_seen_is_found_at_the_release(
    world: World, nats_url: str, database_url: str
) -> None:
    """The guard is what stops the release, not the consumer being in time."""
    story, publisher = world
    item = a_request(release="at", scheduled_at=now() - timedelta(seconds=1))
    due = now() + timedelta(seconds=1.5)
    moved = follow(item, submission.Rescheduled(occurred_at=now(), scheduled_at=due, revision=1))
    (written, _) = await tell(publisher, item, moved)
    async with scheduling.table(database_url) as table:
        await scheduling.put(table, written)
    async with scheduling.scheduling(nats_url, database_url):
        (released,) = await eventually(lambda: releases(story, item))
        assert timedelta(0) <= released.occurred_at - due < timedelta(seconds=0.25)


async def test_a_cancelled_mail_is_never_released(world: World, nats_url: str, database_url: str) -> None:
    story, publisher = world
    due = now() + timedelta(seconds=1)
    item = a_request(release="at", scheduled_at=due)
    other = a_request(release="at", scheduled_at=due)
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item, other, follow(item, submission.Cancelled(occurred_at=now())))
        await eventually(lambda: releases(story, other))
        assert await names(story, item) == ["requested", "cancelled"]
        await eventually(lambda: scheduling.states(database_url, "done", "released"))


async def test_a_cancellation_the_table_has_not_seen_stops_the_release(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    item = a_request(release="at", scheduled_at=now() - timedelta(seconds=1))
    (written, _) = await tell(publisher, item, follow(item, submission.Cancelled(occurred_at=now())))
    async with scheduling.table(database_url) as table:
        await scheduling.put(table, written)
        async with scheduling.voice(nats_url) as voice:
            (row,) = await scheduling.due(table)
            said = await voice.speak(row, now())
    assert [found.event.name for found in said.records] == ["requested", "cancelled"]
    assert await names(story, item) == ["requested", "cancelled"]


async def test_a_retry_is_released_when_it_is_due_with_all_it_needs(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    item = a_request("ann@world.test", "bob@world.test")
    due = now() + timedelta(seconds=1)
    results = (delivery.RecipientResult(address="ann@world.test", status="sent", smtp_code=250),)
    deadline = now() + timedelta(hours=5)
    deferral = a_deferral(
        item,
        code="450",
        claim_id="c",
        attempt=1,
        attempts=1,
        next_attempt_at=due,
        expires_at=deadline,
        results=results,
    )
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item, a_claim(item), deferral)
        (released,) = await eventually(lambda: releases(story, item))
        assert timedelta(0) <= released.occurred_at - due < timedelta(seconds=0.25)
        assert (released.round, released.attempts, released.expires_at) == (2, 1, deadline)
        assert released.results == results
        assert isinstance(item.event, submission.Requested)
        assert released.email == item.event.email


async def test_a_client_s_deadline_holds_from_the_first_release_on(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    deadline = now() + timedelta(hours=1)
    item = a_request(release="turn", expires_at=deadline, batch_id="b")
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item)
        (released,) = await eventually(lambda: releases(story, item))
        assert released.expires_at == deadline


async def test_a_mail_whose_deadline_passes_while_it_waits_expires_and_says_why(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    item = a_request()
    deferral = a_deferral(
        item, code="451", next_attempt_at=now() + timedelta(hours=1), expires_at=now() + timedelta(seconds=1)
    )
    async with scheduling.scheduling(nats_url, database_url):
        await tell(publisher, item, deferral)
        await eventually(lambda: _ends_with(story, item, "expired"), within=4)
        state = fold.fold(await story.history(item.workspace, item.email_id))
        reason = status.reason(state)
        assert status.raw(state) == "failed"
        assert reason is not None
        assert (reason.code, reason.category, reason.retryable) == ("expired", "expired", False)
        assert "because of 451" in reason.message
        await eventually(lambda: scheduling.states(database_url, "done"))


async def test_what_is_overdue_after_downtime_leaves_at_the_account_s_rate(
    world: World, nats_url: str, database_url: str
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=100, per_second=10)
    items = [a_request(release="at", scheduled_at=now() - timedelta(hours=1)) for _ in range(40)]
    await asyncio.gather(*(publisher.append(item, guard=0) for item in items))
    async with scheduling.scheduling(nats_url, database_url):
        found = await eventually(lambda: _all_released(story, items), within=10)
        times = sorted(released.occurred_at for released in found)
        spans = [later - earlier for earlier, later in zip(times, times[16:], strict=False)]
        # Any window holds the rate and one short burst: 16 in a second would be 10 and more than half of 10.
        assert min(spans) > timedelta(seconds=1)
        assert times[-1] - times[0] < timedelta(seconds=5)


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_jump_of_the_clock_loses_doubles_and_hurries_nothing(
    world: World, nats_url: str, database_url: str, hours: int
) -> None:
    story, publisher = world
    await scheduling.store_account(story.client, connections=100, per_second=50)
    clock = scheduling.Clock()
    jump = timedelta(hours=hours)
    soon = [a_request(release="at", scheduled_at=now() + timedelta(minutes=30)) for _ in range(20)]
    later = [a_request(release="at", scheduled_at=now() + timedelta(minutes=90)) for _ in range(20)]
    due = [a_request(release="at", scheduled_at=now()) for _ in range(20)]
    async with scheduling.scheduling(nats_url, database_url, clock):
        await tell(publisher, *soon, *later, *due)
        await eventually(lambda: _all_released(story, due))
        clock.ahead = jump
        after = [a_request(release="at", scheduled_at=clock() + timedelta(seconds=1)) for _ in range(20)]
        await tell(publisher, *after)
        await eventually(lambda: _all_released(story, after), within=5)
        for item in soon:
            assert len(await releases(story, item)) == (1 if hours > 0 else 0)
        for item in later:
            assert await releases(story, item) == []
        clock.ahead = timedelta(minutes=31)
        await eventually(lambda: _all_released(story, soon), within=5)


async def _ends_with(story: log.Log, item: record.Record, name: str) -> bool:
    return (await names(story, item))[-1] == name


async def _all_released(story: log.Log, items: list[record.Record]) -> list[schedule.Released]:
    """Return the releases once every email has exactly one."""
    found = await asyncio.gather(*(releases(story, item) for item in items))
    assert all(len(each) <= 1 for each in found), "released twice"
    assert all(each for each in found), f"{sum(not each for each in found)} not released"
    return [each[0] for each in found]
