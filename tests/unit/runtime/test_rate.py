"""How much happened within the last second."""

from shared.runtime.rate import Rate


def test_only_what_happened_within_the_last_second_counts() -> None:
    rate = Rate()
    rate.add(3, 10.0)
    rate.add(1, 10.55)
    rate.add(1, 10.55)
    assert rate.per_second(10.6) == 5
    assert rate.per_second(11.2) == 2
    assert rate.per_second(12.0) == 0
