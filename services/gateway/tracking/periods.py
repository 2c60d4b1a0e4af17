"""The intervals of a time series: in a time zone, without holes, whatever its clocks do. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

Interval: TypeAlias = Literal["hour", "day", "week"]
QUARTER: Final = timedelta(minutes=15)
MAX_POINTS: Final = 800  # a month of hours, and a little
_LENGTH: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def quarter_down(at: datetime) -> datetime:
    """Return the quarter hour this moment is in."""
    return at - (at - _EPOCH) % QUARTER


def quarter_up(at: datetime) -> datetime:
    """Return the quarter hour that ends at this moment or after it."""
    return at + (_EPOCH - at) % QUARTER


def too_many(begin: datetime, end: datetime, interval: Interval) -> bool:
    """Say whether a series would have more points than are told."""
    return (end - begin) / _LENGTH[interval] > MAX_POINTS


def starts(begin: datetime, end: datetime, interval: Interval, zone: ZoneInfo) -> list[datetime]:
    """Return when each interval begins (UTC): the first has `begin` in it, the last ends at `end` or after it."""
    found: list[datetime] = []
    for at in _hours(begin, zone) if interval == "hour" else _days(begin, zone, interval):
        if at >= end:
            break
        # A day that a zone left out, to change sides of the date line, begins when the next one does.
        if not found or at > found[-1]:
            found.append(at)
    return found


def _hours(begin: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield full hours of the zone: not all zones are whole hours from UTC, nor all shifts of a clock."""
    at = _full_hour(begin, zone)
    while True:
        yield at
        at = max(_full_hour(at + _LENGTH["hour"], zone), at + QUARTER)


def _full_hour(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    return at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _days(begin: datetime, zone: ZoneInfo, interval: Interval) -> Iterator[datetime]:
    """Yield midnights, of Mondays for weeks; one that a clock skips is the moment it is skipped at."""
    day = begin.astimezone(zone).date()
    if interval == "week":
        day -= timedelta(days=day.weekday())
    while True:
        yield datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        day += _LENGTH[interval]
