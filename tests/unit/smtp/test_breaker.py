"""The breaker: when a silent server is left alone, and when it is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.breaker import FIRST_PAUSE, LONGEST_PAUSE, OPEN_AFTER, PROBE_LAPSES, Breaker


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(OPEN_AFTER):
        assert breaker.allows(at)
        breaker.failed(at)
    return breaker


def test_it_opens_after_five_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0.0)
    assert breaker.allows(0.0)
    breaker.failed(0.0)
    assert not breaker.allows(0.0)
    assert breaker.is_open
    assert breaker.retry_at == FIRST_PAUSE


def test_a_success_between_starts_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0.0)
    breaker.succeeded()
    for _ in range(4):
        breaker.failed(0.0)
    assert breaker.allows(0.0)


def test_exactly_one_probe_is_let_through_after_the_pause() -> None:
    breaker = opened()
    assert not breaker.allows(FIRST_PAUSE - 0.1)
    assert breaker.allows(FIRST_PAUSE)
    assert not breaker.allows(FIRST_PAUSE)
    assert not breaker.allows(FIRST_PAUSE + 60)


def test_a_successful_probe_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(10.0)
    breaker.succeeded()
    assert all(breaker.allows(10.0) for _ in range(10))


def test_failed_probes_double_the_pause_up_to_five_minutes() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        pauses.append(breaker.retry_at - now)
        now = breaker.retry_at
        assert breaker.allows(now)
        breaker.failed(now)
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]


def test_the_pause_starts_small_again_after_a_success() -> None:
    breaker = opened()
    breaker.allows(10.0)
    breaker.failed(10.0)
    breaker.succeeded()
    for _ in range(OPEN_AFTER):
        breaker.failed(100.0)
    assert breaker.retry_at == 100.0 + FIRST_PAUSE


def test_failures_of_attempts_begun_before_it_opened_do_not_prolong_the_pause() -> None:
    breaker = opened()
    for late in (1.0, 9.0, 11.0):
        breaker.failed(late)
    assert breaker.retry_at == FIRST_PAUSE


def test_a_probe_nobody_reports_on_does_not_keep_it_closed_for_ever() -> None:
    breaker = opened()
    assert breaker.allows(10.0)
    assert not breaker.allows(10.0 + PROBE_LAPSES - 1)
    assert breaker.allows(10.0 + PROBE_LAPSES)


@given(st.lists(st.tuples(st.sampled_from(["fail", "ok", "ask"]), st.floats(0, 50)), max_size=60))
def test_it_never_waits_longer_than_five_minutes(steps: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for what, after in steps:
        now += after
        if what == "fail":
            breaker.failed(now)
        elif what == "ok":
            breaker.succeeded()
        else:
            breaker.allows(now)
        assert breaker.retry_at <= now + LONGEST_PAUSE
    assert breaker.allows(now + LONGEST_PAUSE + PROBE_LAPSES)
