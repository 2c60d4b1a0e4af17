from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.emails import acceptance, times
from tests.unit.gateway.emails.requests import accepted, check, paths

NOW = datetime(2028, 2, 29, 12, 0, tzinfo=UTC)


def _written(offset: timedelta) -> str:
    return (NOW + offset).isoformat()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00+00:00"),
        ("2030-01-01t00:00:00z", "2030-01-01T00:00:00+00:00"),
        ("2030-01-01T00:00:00.123456789Z", "2030-01-01T00:00:00.123456+00:00"),
        ("2030-01-01T00:00:00-08:00", "2030-01-01T08:00:00+00:00"),
        ("2030-01-01T05:30:00+05:30", "2030-01-01T00:00:00+00:00"),
    ],
)
def test_a_time_with_an_offset_is_read(text: str, expected: str) -> None:
    assert times.parse(text).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-01T00:00:00",
        "2030-01-01",
        "tomorrow",
        "",
        "2030-02-30T00:00:00Z",
        "2030-01-01T25:00:00Z",
        "2030-01-01T00:00:00+25:00",
        "1893456000",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2030-01-01T00:00:00Z\n",
        "２０３０-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(times.TimeError):
        times.parse(text)


@pytest.mark.parametrize(
    ("offset", "good"),
    [
        (timedelta(seconds=-59), True),
        (timedelta(seconds=-61), False),
        (timedelta(days=365), True),
        (timedelta(days=366, hours=1), False),
    ],
)
def test_an_email_is_scheduled_from_a_minute_ago_to_a_year_ahead(offset: timedelta, good: bool) -> None:
    made = accepted(scheduled_at=_written(offset))
    assert paths(acceptance.time_problems(made, NOW)) == ([] if good else ["$.scheduled_at"])


@pytest.mark.parametrize(
    ("scheduled", "expires", "good"),
    [
        (None, timedelta(hours=1), True),
        (None, timedelta(0), False),
        (None, timedelta(days=5), True),
        (None, timedelta(days=5, seconds=1), False),
        (timedelta(days=10), timedelta(days=9), False),
        (timedelta(days=10), timedelta(days=10), False),
        (timedelta(days=10), timedelta(days=15), True),
        (timedelta(days=10), timedelta(days=15, seconds=1), False),
        (timedelta(seconds=-30), timedelta(seconds=-10), False),
    ],
)
def test_an_email_expires_after_its_release_and_within_five_days_of_it(
    scheduled: timedelta | None, expires: timedelta, good: bool
) -> None:
    made = accepted(scheduled_at=_written(scheduled) if scheduled else ..., expires_at=_written(expires))
    assert paths(acceptance.time_problems(made, NOW)) == ([] if good else ["$.expires_at"])


def test_times_that_cannot_be_read_are_listed_with_everything_else() -> None:
    assert paths(check(scheduled_at="soon", expires_at="later", subject=...)[1]) == [
        "$.subject",
        "$.scheduled_at",
        "$.expires_at",
    ]


def test_an_offset_whose_plus_a_query_string_lost_is_known() -> None:
    wanted = times.parse("2030-01-31T08:00:00+01:00")
    for text in ("2030-01-31T08:00:00 01:00", "2030-01-31T08:00:00+01:00", "2030-01-31 08:00:00 01:00"):
        assert times.parse_query(text) == wanted
    for text in ("2030-01-31 08:00", "2030-01-31T08:00:00", "2030-01-31 08:00:00"):
        with pytest.raises(times.TimeError):
            times.parse_query(text)
