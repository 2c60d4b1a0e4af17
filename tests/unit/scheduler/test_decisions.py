"""What may be said of a row when its time has come."""

from datetime import datetime, timedelta

import msgspec
import pytest

from services.scheduler import absorbing, decisions
from services.scheduler.row import DONE, RELEASED, Row, State
from shared.events import delivery, schedule, submission
from shared.events.base import EmailId
from tests.controls.emails import NOON, a_record, an_email, minutes


def waiting(expires_at: datetime | None = None) -> Row:
    email = an_email(scheduled_at=NOON, expires_at=expires_at)
    event = submission.Requested(occurred_at=NOON, release="at", email=email)
    row = absorbing.absorb(None, a_record(event, sequence=7))
    assert row is not None
    return row


def test_nothing_is_said_before_it_is_due() -> None:
    assert decisions.say(waiting(), NOON - timedelta(microseconds=1)) is None


def test_a_first_release_opens_round_one_and_sets_the_deadline() -> None:
    said = decisions.say(waiting(), NOON)
    assert isinstance(said, schedule.Released)
    assert (said.round, said.attempts, said.expires_at) == (1, 0, NOON + timedelta(hours=72))


def test_a_moved_email_is_dated_when_it_is_released_and_keeps_that_date_at_every_retry() -> None:
    moved = submission.Rescheduled(occurred_at=NOON, scheduled_at=NOON + minutes(60), revision=1)
    row = absorbing.absorb(waiting(), a_record(moved, sequence=8))
    assert row is not None
    said = decisions.say(row, NOON + minutes(61))
    assert isinstance(said, schedule.Released)
    assert said.email is not None
    assert said.email.date == said.email.scheduled_at == NOON + minutes(60)
    again = decisions.say(msgspec.structs.replace(row, round=1), NOON + minutes(90))
    assert isinstance(again, schedule.Released)
    assert row.payload is not None
    assert again.email == row.payload.email


def test_a_release_never_moves_a_deadline() -> None:
    deadline = NOON + minutes(5)
    said = decisions.say(waiting(expires_at=deadline), NOON)
    assert isinstance(said, schedule.Released)
    assert said.expires_at == deadline


def test_a_mail_past_its_deadline_expires_even_if_it_is_due() -> None:
    said = decisions.say(waiting(expires_at=NOON + minutes(5)), NOON + minutes(5))
    assert isinstance(said, schedule.Expired)
    assert (said.reason.code, said.reason.category, said.reason.retryable) == ("expired", "expired", False)


def test_a_mail_expires_before_it_is_due_when_its_deadline_is_earlier() -> None:
    row = msgspec.structs.replace(waiting(expires_at=NOON + minutes(5)), due_at=NOON + minutes(60))
    assert isinstance(decisions.say(row, NOON + minutes(6)), schedule.Expired)


@pytest.mark.parametrize("state", [RELEASED, DONE])
def test_nothing_is_said_of_what_does_not_wait(state: State) -> None:
    row = msgspec.structs.replace(waiting(), state=state)
    assert decisions.say(row, NOON + minutes(10_000)) is None


def test_the_same_step_has_the_same_id_and_another_step_another() -> None:
    row = waiting()
    said = decisions.say(row, NOON)
    later = decisions.say(row, NOON + minutes(1))
    assert said is not None
    assert later is not None
    assert decisions.as_record(row, said).event_id == decisions.as_record(row, later).event_id
    next_round = msgspec.structs.replace(row, round=1)
    assert decisions.as_record(row, said).event_id != decisions.as_record(next_round, said).event_id


@pytest.mark.parametrize("email_id", ["", "poison", "0E6A3A52-0000-4000-8000-000000000001", "0" * 32])
def test_an_id_that_is_not_written_as_ours_is_refused(email_id: str) -> None:
    item = a_record(submission.Cancelled(occurred_at=NOON))._replace(email_id=EmailId(email_id))
    with pytest.raises(decisions.Unusable):
        decisions.check(item)


def test_a_deferral_without_its_email_is_refused() -> None:
    reason = delivery.Reason(code="450", message="", category="", retryable=True, suggested_action="")
    event = delivery.Deferred(occurred_at=NOON, round=1, reason=reason, next_attempt_at=NOON, expires_at=NOON)
    with pytest.raises(decisions.Unusable):
        decisions.check(a_record(event))
