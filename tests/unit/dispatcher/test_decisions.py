"""What a dispatcher may do with a record it holds, and when it tries again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher import decisions
from services.dispatcher.decisions import Verdict
from shared.events import delivery, fold, schedule, status, submission
from shared.events.base import Event
from tests.controls.emails import ACCOUNT, NOON, an_email, minutes


def state_of(*events: Event) -> fold.State:
    state = fold.State()
    for number, event in enumerate(events, 1):
        fold.apply(state, event, f"event-{number}", number)
    return state


def requested() -> Event:
    return submission.Requested(occurred_at=NOON, release="now", email=an_email())


def sending(round_: int, claim: str) -> Event:
    return delivery.Sending(
        occurred_at=NOON, round=round_, attempt=round_, claim_id=claim, account_id=ACCOUNT
    )


def sent(round_: int) -> Event:
    result = delivery.RecipientResult(address="ann@world.test", status="sent", smtp_code=250)
    return delivery.Sent(occurred_at=NOON, round=round_, attempt=round_, recipients=(result,))


def deferred(round_: int) -> Event:
    reason = delivery.Reason(code="450", message="", category="", retryable=True, suggested_action="")
    return delivery.Deferred(
        occurred_at=NOON, round=round_, reason=reason, next_attempt_at=NOON, expires_at=NOON + minutes(60)
    )


def released(round_: int) -> Event:
    return schedule.Released(occurred_at=NOON, round=round_, expires_at=NOON + minutes(60))


def verdict(*events: Event, round_: int = 1, redelivered: bool = True, mine: tuple[str, ...] = ()) -> Verdict:
    return decisions.after_reading(state_of(requested(), *events), round_, redelivered=redelivered, mine=mine)


def test_a_record_nobody_claimed_may_be_claimed() -> None:
    assert verdict() is Verdict.CLAIM


def test_an_outcome_of_its_round_leaves_nothing_to_do() -> None:
    assert verdict(sending(1, "a"), sent(1)) is Verdict.DONE
    assert verdict(sending(1, "a"), deferred(1)) is Verdict.DONE


def test_a_deferral_without_a_claim_leaves_nothing_to_do() -> None:
    assert verdict(deferred(1)) is Verdict.DONE


def test_a_cancelled_email_is_done() -> None:
    assert verdict(submission.Cancelled(occurred_at=NOON)) is Verdict.DONE


def test_a_newer_release_makes_an_old_record_done() -> None:
    assert verdict(sending(1, "a"), deferred(1), released(2)) is Verdict.DONE


def test_anothers_claim_is_left_alone_on_a_first_delivery_and_taken_over_on_a_later_one() -> None:
    assert verdict(sending(1, "a"), redelivered=False) is Verdict.LEAVE
    assert verdict(sending(1, "a"), redelivered=True) is Verdict.TAKE_OVER


def test_our_own_newest_claim_goes_on() -> None:
    assert verdict(sending(1, "mine"), mine=("mine",)) is Verdict.PROCEED
    assert verdict(sending(1, "mine"), sending(2, "theirs"), mine=("mine",)) is Verdict.TAKE_OVER


def test_a_late_outcome_of_an_old_round_does_not_end_a_newer_claim() -> None:
    """A's round 1 ended late, B took over with round 2 and died: the email must not be stuck."""
    assert verdict(sending(1, "a"), sending(2, "b"), deferred(1)) is Verdict.TAKE_OVER


def test_a_take_over_opens_the_round_after_the_latest() -> None:
    state = state_of(requested(), sending(1, "a"), sending(2, "b"))
    stand = decisions.first_stand(requested(), 1)
    later = decisions.later_stand(stand, state, Verdict.TAKE_OVER)
    assert (later.round, later.guard, later.attempts, later.after_claim) == (3, 3, 2, "b")


@given(attempts=st.integers(0, 50), jitter=st.floats(-1, 1))
def test_a_retry_is_within_a_fifth_of_its_step(attempts: int, jitter: float) -> None:
    wait = decisions.next_attempt(NOON, attempts, jitter, None) - NOON
    step = decisions.SCHEDULE[min(max(attempts, 1), len(decisions.SCHEDULE)) - 1]
    assert 0.8 * step <= wait <= 1.2 * step


@given(jitter=st.floats(-1, 1))
def test_a_servers_own_hint_is_never_undercut(jitter: float) -> None:
    hint = timedelta(seconds=300)
    wait = decisions.next_attempt(NOON, 1, jitter, hint) - NOON
    assert hint <= wait <= 1.2 * hint


@pytest.mark.parametrize(
    ("attempts", "expected"), [(1, 1), (2, 5), (3, 15), (4, 30), (5, 60), (6, 120), (7, 240), (9, 240)]
)
def test_the_schedule_is_the_documented_one(attempts: int, expected: int) -> None:
    assert decisions.next_attempt(NOON, attempts, 0.0, None) == NOON + minutes(expected)


def test_the_deadline_is_72_hours_after_acceptance_unless_given() -> None:
    assert decisions.first_stand(requested(), 1).expires_at == NOON + status.DEADLINE
