import random

import msgspec

from services.gateway.emails import timeline
from tests.unit.gateway.emails.histories import (
    deferred,
    minute,
    records,
    released,
    requested,
    result,
    sending,
    sent,
)

STORY = records(
    requested(),
    sending(),
    deferred(result("ann@world.test", "deferred", 450, "busy")),
    released(2),
    sending(2, 2),
    sent(result("ann@world.test", "sent", 250), round_=2),
)


def test_the_timeline_tells_each_event_once_and_in_order() -> None:
    twice = STORY + STORY
    random.Random(7).shuffle(twice)
    assert [event["type"] for event in timeline.events(twice)] == [
        "email.requested",
        "email.sending",
        "email.deferred",
        "email.released",
        "email.sending",
        "email.sent",
    ]


def test_what_was_said_again_later_is_told_when_it_was_said_first() -> None:
    first = STORY[-1]
    later = msgspec.structs.replace(first.event, occurred_at=minute(60))
    again = first._replace(event=later, sequence=first.sequence + 1)
    for told in ([*STORY, again], [again, *STORY]):
        assert timeline.events(told)[-1]["occurred_at"] == first.event.occurred_at


def test_the_timeline_has_no_content() -> None:
    told = repr(timeline.events(STORY))
    assert "Hello." not in told
    assert "sendlog.test" not in told
    assert "greylisted" in told


def test_each_attempt_is_told_with_its_conversation_and_results() -> None:
    first, second = timeline.attempts(list(reversed(STORY)))
    assert (first["attempt"], first["outcome"], first["reason"].code) == (1, "deferred", "450")
    assert first["next_attempt_at"] == minute(6)
    assert (second["attempt"], second["outcome"], second["finished_at"]) == (2, "sent", minute(2.5))
    assert second["conversation"]["lines"] == [{"at_ms": 1.5, "verb": "MAIL", "reply": "250 ok"}]
    assert second["recipients"][0]["smtp_code"] == 250


def test_an_attempt_under_way_has_no_outcome_yet() -> None:
    (only,) = timeline.attempts(STORY[:2])
    assert (only["outcome"], only["finished_at"], only["conversation"]) == (None, None, None)


def test_a_deferral_before_any_claim_is_no_attempt() -> None:
    assert timeline.attempts(records(requested(), released(1))) == []
