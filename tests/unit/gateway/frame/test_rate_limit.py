"""How many requests a key may make, and what its answers say about that."""

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.rate_limit import Limiter


def test_a_key_may_use_its_minute_at_once_and_then_waits() -> None:
    limiter = Limiter()
    verdicts = [limiter.take("k", 3, 100.0) for _ in range(4)]
    assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0]
    assert [verdict.wait for verdict in verdicts] == [0, 0, 0, 20]
    assert [verdict.reset for verdict in verdicts] == [20, 40, 60, 60]
    assert limiter.take("k", 3, 120.0).wait == 0


def test_keys_are_counted_apart() -> None:
    limiter = Limiter()
    assert limiter.take("a", 1, 0.0).wait == 0
    assert limiter.take("b", 1, 0.0).wait == 0
    assert limiter.take("a", 1, 0.0).wait == 60


def test_an_idle_minute_gives_everything_back() -> None:
    limiter = Limiter()
    for _ in range(5):
        limiter.take("k", 5, 0.0)
    assert limiter.take("k", 5, 60.0).remaining == 4


@given(
    st.integers(1, 100_000),
    st.lists(st.floats(0, 5), min_size=1, max_size=300),
)
def test_no_stretch_of_time_lets_more_through_than_a_minute_and_its_share(
    limit: int, gaps: list[float]
) -> None:
    limiter, now, passed = Limiter(), 1000.0, []
    for gap in gaps:
        now += gap
        verdict = limiter.take("k", limit, now)
        assert 0 <= verdict.remaining < limit
        if not verdict.wait:
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= limit + (passed[last] - start) * limit / 60 + 1.01


@given(st.integers(1, 1000), st.integers(1, 50))
def test_waiting_as_long_as_told_is_enough(limit: int, extra: int) -> None:
    limiter = Limiter()
    verdict = [limiter.take("k", limit, 5.0) for _ in range(limit + extra)][-1]
    assert verdict.wait
    assert limiter.take("k", limit, 5.0 + verdict.wait).wait == 0
