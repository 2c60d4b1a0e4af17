import msgspec
import pytest

from services.gateway.emails import changes
from shared.events import fold, submission
from tests.unit.gateway.emails.histories import (
    cancelled,
    deferred,
    failed,
    minute,
    released,
    requested,
    result,
    sending,
    sent,
    state,
)

NOW = minute(3)
WAITS = {
    "scheduled": state(requested(release="at", scheduled_at=minute(60))),
    "queued": state(requested()),
    "in its turn": state(requested(release="turn")),
    "deferred": state(requested(), sending(), deferred(result("ann@world.test", "deferred", 450))),
    "released again": state(requested(), sending(), deferred(), released(2)),
}
TOO_LATE = {
    "sending": state(requested(), sending()),
    "sent": state(requested(), sending(), sent(result("ann@world.test", "sent", 250))),
    "failed": state(requested(), sending(), failed()),
}


@pytest.mark.parametrize("name", WAITS)
def test_what_waits_is_cancelled(name: str) -> None:
    assert changes.cancel(WAITS[name], NOW) == submission.Cancelled(occurred_at=NOW)


@pytest.mark.parametrize("name", TOO_LATE)
def test_what_is_under_way_or_over_is_not_cancelled_and_says_where_it_is(name: str) -> None:
    with pytest.raises(changes.TooLate) as late:
        changes.cancel(TOO_LATE[name], NOW)
    assert late.value.status == name


def test_what_was_sent_to_one_recipient_already_is_not_cancelled() -> None:
    partly = state(
        requested("ann@world.test", "bob@world.test"),
        sending(),
        deferred(result("ann@world.test", "sent", 250), result("bob@world.test", "deferred", 450)),
    )
    with pytest.raises(changes.TooLate):
        changes.cancel(partly, NOW)


def test_what_may_have_been_sent_is_not_cancelled() -> None:
    lost = msgspec.structs.replace(deferred(result("ann@world.test", "deferred")), ambiguous=True)
    with pytest.raises(changes.TooLate):
        changes.cancel(state(requested(), sending(), lost), NOW)


def test_cancelling_again_changes_nothing() -> None:
    assert changes.cancel(state(requested(), cancelled()), NOW) is None


def test_a_scheduled_email_moves_and_the_next_revision_wins() -> None:
    waiting = WAITS["scheduled"]
    first = changes.reschedule(waiting, minute(90), NOW)
    assert first == submission.Rescheduled(occurred_at=NOW, scheduled_at=minute(90), revision=1)
    moved = fold.apply(state(requested(release="at", scheduled_at=minute(60))), first, "moved", 2)
    assert moved.scheduled_at == minute(90)
    again = changes.reschedule(moved, minute(30), NOW)
    assert again is not None
    assert again.revision == 2


def test_moving_to_the_same_time_changes_nothing() -> None:
    assert changes.reschedule(WAITS["scheduled"], minute(60), NOW) is None


def test_a_time_just_past_means_now() -> None:
    event = changes.reschedule(WAITS["scheduled"], minute(2.5), NOW)
    assert event is not None
    assert event.scheduled_at == NOW


@pytest.mark.parametrize("name", ["queued", "in its turn", "deferred", "released again"])
def test_only_a_scheduled_email_moves(name: str) -> None:
    with pytest.raises(changes.TooLate):
        changes.reschedule(WAITS[name], minute(90), NOW)


def test_an_email_is_not_moved_past_its_own_deadline() -> None:
    waiting = state(requested(release="at", scheduled_at=minute(60), expires_at=minute(120)))
    assert not changes.time_problems(waiting, minute(119), NOW)
    assert changes.time_problems(waiting, minute(120), NOW)
    assert changes.time_problems(waiting, minute(1), NOW)


def test_an_email_is_not_moved_so_early_that_it_would_be_tried_for_longer_than_any_may_be() -> None:
    day = 24 * 60
    waiting = state(requested(release="at", scheduled_at=minute(6 * day), expires_at=minute(10 * day)))
    assert not changes.time_problems(waiting, minute(5 * day), NOW)
    [problem] = changes.time_problems(waiting, minute(4 * day), NOW)
    assert problem.path == "$.scheduled_at"
    assert "5 days" in problem.message
