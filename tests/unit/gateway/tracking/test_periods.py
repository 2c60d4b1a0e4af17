"""Intervals of a series: whole in the zone's own hours, days and weeks, whatever its clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.tracking import periods

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Pacific/Chatham",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def lengths(begin: str, end: str, interval: periods.Interval, zone: str) -> list[float]:
    """Return how many hours each interval has."""
    starts = periods.starts(at(begin), at(end), interval, ZoneInfo(zone))
    return [(later - earlier) / timedelta(hours=1) for earlier, later in pairwise(starts)]


def test_a_day_on_which_clocks_change_has_23_or_25_hours() -> None:
    berlin = "Europe/Berlin"
    assert lengths("2026-03-28T12:00+01:00", "2026-03-31T12:00+02:00", "day", berlin) == [24, 23, 24]
    assert lengths("2026-10-24T12:00+02:00", "2026-10-27T12:00+01:00", "day", berlin) == [24, 25, 24]


def test_an_hour_that_comes_twice_is_two_intervals_and_one_that_is_skipped_is_none() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    twice = periods.starts(at("2026-10-24T22:00Z"), at("2026-10-25T03:00Z"), "hour", berlin)
    assert [start.astimezone(berlin).hour for start in twice] == [0, 1, 2, 2, 3]
    skipped = periods.starts(at("2026-03-28T23:00Z"), at("2026-03-29T03:00Z"), "hour", berlin)
    assert [start.astimezone(berlin).hour for start in skipped] == [0, 1, 3, 4]


def test_weeks_begin_on_monday() -> None:
    zone = ZoneInfo("America/New_York")
    starts = periods.starts(at("2026-11-01T12:00Z"), at("2026-11-20T00:00Z"), "week", zone)
    assert [start.astimezone(zone).isoformat() for start in starts] == [
        "2026-10-26T00:00:00-04:00",
        "2026-11-02T00:00:00-05:00",
        "2026-11-09T00:00:00-05:00",
        "2026-11-16T00:00:00-05:00",
    ]


def test_a_midnight_that_does_not_exist_is_when_the_day_begins() -> None:
    assert lengths("2018-11-03T12:00Z", "2018-11-06T12:00Z", "day", "America/Sao_Paulo") == [24, 23, 24]


def test_a_day_that_a_zone_left_out_is_no_interval() -> None:
    zone = ZoneInfo("Pacific/Apia")
    starts = periods.starts(at("2011-12-29T12:00Z"), at("2012-01-01T00:00Z"), "day", zone)
    assert [start.astimezone(zone).day for start in starts] == [29, 31, 1]


def test_half_an_hour_more_or_less_keeps_full_hours() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    starts = periods.starts(at("2026-04-04T12:30Z"), at("2026-04-04T18:00Z"), "hour", zone)
    assert {start.astimezone(zone).minute for start in starts} <= {0, 30}
    assert all(later - earlier >= timedelta(minutes=15) for earlier, later in pairwise(starts))


@given(
    zone=st.sampled_from(ZONES),
    interval=st.sampled_from(("hour", "day", "week")),
    minutes=st.integers(0, 30 * 365 * 24 * 60),
    quarters=st.integers(1, 96 * 30),
)
@settings(max_examples=200, deadline=None)
def test_every_moment_of_a_period_is_in_exactly_one_interval(
    zone: str, interval: periods.Interval, minutes: int, quarters: int
) -> None:
    begin = periods.quarter_down(at("2000-01-01T00:00Z") + timedelta(minutes=minutes))
    end = begin + quarters * periods.QUARTER
    starts = periods.starts(begin, end, interval, ZoneInfo(zone))
    assert starts[0] <= begin
    assert starts == sorted(set(starts))
    assert starts[-1] < end
    longest = {"hour": 1, "day": 25, "week": 7 * 24 + 1}[interval]
    for earlier, later in pairwise([*starts, end]):
        assert later - earlier <= timedelta(hours=longest)
    # What is counted by quarter hours falls into intervals whole.
    assert all(start == periods.quarter_down(start) for start in starts)


@pytest.mark.parametrize(
    ("moment", "down", "up"),
    [
        ("2026-11-24T12:00Z", "2026-11-24T12:00Z", "2026-11-24T12:00Z"),
        ("2026-11-24T12:00:01Z", "2026-11-24T12:00Z", "2026-11-24T12:15Z"),
        ("2026-11-24T12:59:59.999Z", "2026-11-24T12:45Z", "2026-11-24T13:00Z"),
    ],
)
def test_quarter_hours_are_those_of_the_clock(moment: str, down: str, up: str) -> None:
    assert periods.quarter_down(at(moment)) == at(down)
    assert periods.quarter_up(at(moment)) == at(up)
