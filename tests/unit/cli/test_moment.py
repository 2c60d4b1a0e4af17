"""Times given and shown."""

from datetime import UTC, datetime

import pytest

from cli import moment
from cli.failure import USAGE, Failure
from tests.controls.emails import NOON


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+4s", "2026-11-24T12:00:04.000000Z"),
        ("+10m", "2026-11-24T12:10:00.000000Z"),
        ("+2h", "2026-11-24T14:00:00.000000Z"),
        ("+1d", "2026-11-25T12:00:00.000000Z"),
        ("2026-11-24T13:00:00+01:00", "2026-11-24T13:00:00+01:00"),
        ("tomorrow", "tomorrow"),
    ],
)
def test_a_time_is_given_to_the_api(text: str, expected: str) -> None:
    assert moment.given(text, NOON) == expected


@pytest.mark.parametrize("text", ["+", "+m", "+5", "+5w", "+-5m"])
def test_half_a_time_is_a_mistake(text: str) -> None:
    with pytest.raises(Failure) as failure:
        moment.given(text)
    assert failure.value.code == USAGE


def test_a_time_that_no_calendar_has_is_a_mistake() -> None:
    for ask, text in ((moment.since, "999999d"), (moment.given, "+999999d")):
        with pytest.raises(Failure, match="too far away") as failure:
            ask(text, datetime(9000, 1, 1, tzinfo=UTC) if text.startswith("+") else NOON)
        assert failure.value.code == USAGE


def test_a_tail_begins_in_the_past() -> None:
    assert moment.since("10m", NOON) == datetime(2026, 11, 24, 11, 50, tzinfo=UTC)
    assert moment.since("2026-11-24T12:00:00Z") == NOON
    for text in ("yesterday", "2026-11-24T12:00:00"):
        with pytest.raises(Failure):
            moment.since(text)


def test_a_time_is_shown_in_utc_to_the_millisecond() -> None:
    assert moment.shown("2026-11-24T13:00:00.123456+01:00") == "2026-11-24 12:00:00.123Z"
    assert moment.shown(None) is None
    assert moment.shown("soon") == "soon"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0042, "4 ms"),
        (1.04, "1.0 s"),
        (61, "61 s"),
        (200, "3 min"),
        (7200, "2 h"),
        (-200_000, "2 d"),
    ],
)
def test_a_distance_is_told_in_its_own_unit(seconds: float, words: str) -> None:
    assert moment.distance(seconds) == words
