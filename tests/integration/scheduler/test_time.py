"""Waiting for a time: released then, moved, withdrawn, tried again, given up."""

from datetime import timedelta

from shared.events import schedule, submission
from shared.runtime import log
from shared.runtime.publisher import Publisher
from tests.controls import scheduling
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.controls.scheduling import follow, names, now, releases, tell

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
