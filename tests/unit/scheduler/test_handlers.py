"""Which deferrals hold an account, and until when."""

import pytest

from services.scheduler import decisions, handlers
from services.scheduler.row import Lane
from shared.events import delivery
from tests.controls.emails import ACCOUNT, NOON, a_record, an_email, minutes


def deferral(code: str, until: int) -> delivery.Deferred:
    return delivery.Deferred(
        occurred_at=NOON,
        round=1,
        reason=delivery.Reason(code=code, message="", category="", retryable=True, suggested_action=""),
        next_attempt_at=NOON + minutes(until),
        expires_at=NOON + minutes(9999),
        email=an_email(),
    )


@pytest.mark.parametrize("code", sorted(decisions.HOLDING))
def test_a_reason_of_the_account_holds_it_until_the_latest_time_named(code: str) -> None:
    (hold,) = handlers.holds([a_record(deferral(code, until)) for until in (3, 9, 5)])
    assert (hold.lane, hold.until, hold.since) == (Lane("default", ACCOUNT), NOON + minutes(9), NOON)


@pytest.mark.parametrize("code", ["no_slot", "450", "connection_failed"])
def test_any_other_reason_holds_nothing(code: str) -> None:
    assert handlers.holds([a_record(deferral(code, 5))]) == []
