"""What is said without an attempt: why, and until when."""

from datetime import UTC, datetime, timedelta

from services.dispatcher import reasons, unattempted
from services.dispatcher.decisions import Stand
from tests.controls.emails import an_email

NOW = datetime(2026, 11, 24, 23, 59, 58, 250_000, tzinfo=UTC)
STAND = Stand(round=1, guard=1, attempts=0, expires_at=NOW + timedelta(days=2), email=an_email())


def test_a_limit_is_named_with_its_number_and_the_time_the_email_goes_on() -> None:
    said = unattempted.deferred(STAND, reasons.rate_limited("per_day (1000)"), timedelta(seconds=1.75), NOW)
    assert said.next_attempt_at == datetime(2026, 11, 25, tzinfo=UTC)
    assert said.reason.message == (
        "the account's limit per_day (1000) is reached; it goes on at 2026-11-25T00:00:00Z"
    )


def test_the_time_told_is_never_earlier_than_the_attempt() -> None:
    said = unattempted.deferred(STAND, reasons.breaker_open("connect: refused"), timedelta(seconds=10), NOW)
    assert said.reason.message.endswith("(connect: refused); it goes on at 2026-11-25T00:00:09Z")
    assert said.next_attempt_at == NOW + timedelta(seconds=10)


def test_what_goes_on_at_once_names_no_time() -> None:
    assert unattempted.deferred(STAND, reasons.NO_SLOT, timedelta(0), NOW).reason == reasons.NO_SLOT
