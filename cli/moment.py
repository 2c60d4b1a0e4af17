"""Times as people give them and as people read them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.failure import USAGE, Failure

_RELATIVE: Final = re.compile(r"\+(\d{1,6})(s|m|h|d)")
_UNIT: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def given(text: str, now: datetime | None = None) -> str:
    """Return a time for the API: RFC 3339 as it is, `+10m` as ten minutes from now. Raises: Failure."""
    found = _RELATIVE.fullmatch(text)
    if found is None:
        if text.startswith("+"):
            raise Failure(f"{text!r} is not a time: +30s, +10m, +2h and +1d are from now on", USAGE)
        return text
    later = _away(text, now, found, 1)
    return later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def since(text: str, now: datetime | None = None) -> datetime:
    """Return the moment that many seconds, minutes, hours or days ago, or an RFC 3339 time. Raises: Failure."""
    found = _RELATIVE.fullmatch(f"+{text}")
    if found is not None:
        return _away(text, now, found, -1)
    moment = read(text)
    if moment is None or moment.tzinfo is None:
        raise Failure(f"{text!r} is not a time: give 10m, 2h, or RFC 3339 with an offset", USAGE)
    return moment


def _away(text: str, now: datetime | None, found: re.Match[str], direction: int) -> datetime:
    try:
        distance = timedelta(**{_UNIT[found[2]]: int(found[1])})
        return (now or datetime.now(UTC)) + direction * distance
    except OverflowError:
        raise Failure(f"{text!r} is too far away: no calendar has that time", USAGE) from None


def read(text: str | None) -> datetime | None:
    """Return a time of the API, or None for none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def shown(text: str | None) -> str | None:
    """Return a time of the API for people: UTC, to the millisecond."""
    moment = read(text)
    if moment is None:
        return text
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"


def local(text: str, zone: str) -> str:
    """Return a time of the API to the minute in a time zone, with its offset; in UTC where the zone is not known here."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    moment = read(text)
    if moment is None:
        return text
    try:
        moment = moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M%z}".replace("+0000", "Z")


def age(text: str | None) -> str | None:
    """Return how long ago a time of the API was."""
    moment = read(text)
    return text if moment is None else distance((datetime.now(UTC) - moment).total_seconds())


def distance(seconds: float) -> str:
    """Return a duration in words as short as they can be: 4 ms, 3.2 s, 5 min, 2 h, 3 d."""
    size = abs(seconds)
    for limit, divisor, unit in ((1, 0.001, "ms"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if size < limit:
            return f"{size / divisor:.{1 if unit == 's' and size < 60 else 0}f} {unit}"
    return f"{size / 86_400:.0f} d"
