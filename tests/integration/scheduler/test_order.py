"""Replicas: each may have some of an email's records, and commit them in any order."""

import random
from datetime import timedelta

from shared.events import record, schedule, submission
from shared.runtime import log
from shared.runtime.publisher import Publisher
from tests.controls import scheduling
from tests.controls.emails import a_request
from tests.controls.scheduling import a_claim, a_deferral, a_sent, follow, now, tell

World = tuple[log.Log, Publisher]


async def test_records_in_any_order_end_in_the_same_table(
    world: World, nats_url: str, database_url: str
) -> None:
    """Two replicas may each have some of an email's records, and commit them in any order."""
    _, publisher = world
    expected, shuffled = {}, []
    for kind in range(24):
        item = a_request(release="now" if kind % 2 else "at", scheduled_at=now() + timedelta(hours=1))
        told = await tell(publisher, item, *_life(item, kind // 2))
        shuffled += [found for found in told if _is_consumed(found)]
        expected[item.email_id] = _expected(kind)
    random.Random(7).shuffle(shuffled)
    async with scheduling.handling(nats_url, database_url) as handle:
        for found in shuffled:
            await handle([found])
    states = {str(row["email_id"]): row["state"] for row in await scheduling.rows(database_url)}
    for email_id, state in expected.items():
        assert states.get(email_id, "none") == state, email_id


async def test_a_late_retry_of_a_mail_that_was_sent_meanwhile_never_waits(
    world: World, nats_url: str, database_url: str
) -> None:
    """The stalled dispatcher's `sent` left no trace; once it is trimmed, nothing would stop the heir's retry."""
    _, publisher = world
    item = a_request()
    hour = now() + timedelta(hours=1)
    deferral = a_deferral(item, 2, code="450", claim_id="heir", next_attempt_at=hour)
    story = [item, a_claim(item, 1, "c"), a_claim(item, 2, "heir"), a_sent(item, 1), deferral]
    *_, sent, deferred = await tell(publisher, *story)
    async with scheduling.handling(nats_url, database_url) as handle:
        await handle([sent])
        assert await scheduling.states(database_url)
        await handle([deferred])
        assert await scheduling.states(database_url, "done")


def _life(item: record.Record, kind: int) -> list[record.Record]:
    """Return what follows a request: some way to an end, or to a wait."""
    hour = now() + timedelta(hours=1)
    moved = follow(item, submission.Rescheduled(occurred_at=now(), scheduled_at=hour, revision=1))
    start = [a_claim(item)]
    first = a_deferral(item, 1, code="450", claim_id="c", next_attempt_at=hour)
    released = follow(item, schedule.Released(occurred_at=now(), round=2, expires_at=hour))
    second = a_deferral(item, 2, code="450", claim_id="d", next_attempt_at=hour)
    cancelled = follow(item, submission.Cancelled(occurred_at=now()))
    lives = [
        [],
        [cancelled],
        [moved],
        [moved, cancelled],
        [*start, a_sent(item)],
        [*start, first],
        [*start, first, cancelled],
        [*start, first, released, a_claim(item, 2), a_sent(item, 2)],
        [*start, first, released, a_claim(item, 2), second],
        [*start, first, released, a_claim(item, 2), second, cancelled],
        [*start, a_claim(item, 2, "heir"), a_sent(item, 2), first],
        [*start, a_claim(item, 2, "heir"), second],
    ]
    return lives[kind]


def _expected(kind: int) -> str:
    """Return the state of life `kind // 2`; odd kinds were sent at once and may never have waited."""
    states = ["waiting", "done", "waiting", "done", "done", "waiting"]
    states += ["done", "done", "waiting", "done", "done", "waiting"]
    if kind % 2 and kind // 2 in (0, 4):
        return "none"
    return "released" if kind % 2 and kind // 2 == 2 else states[kind // 2]


def _is_consumed(found: record.Record) -> bool:
    return found.event.name not in ("sending", "released") and not (
        isinstance(found.event, submission.Requested) and found.event.release == "now"
    )
