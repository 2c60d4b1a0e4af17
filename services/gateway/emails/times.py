"""Times as clients write them (RFC 3339 with an offset) and the rules that depend on now. Pure.

A naive time is refused rather than guessed: an email at the wrong hour cannot be taken back.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.events import status

PAST: Final = timedelta(seconds=60)
_FORM: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?P<fraction>\.\d{1,12})?(?P<offset>[Zz]|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_UNESCAPED: Final = re.compile(r"(?<=\d) (?=\d{2}:\d{2}\Z)", re.ASCII)


class TimeError(ValueError):
    """Not a time we can act on; the text says what to change."""


def parse(text: str) -> datetime:
    """Return the time in UTC. Raises: TimeError."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise TimeError("must be a time as RFC 3339 writes it, such as 2030-01-31T08:00:00Z")
    if form["offset"] is None:
        raise TimeError("needs an offset, such as Z or +02:00: a time without one could mean any hour")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TimeError(f"is not a time that exists ({error})") from error


def parse_query(text: str) -> datetime:
    """Return a time of a query string, where an offset's `+` that was not escaped is a space. Raises: TimeError."""
    return parse(_UNESCAPED.sub("+", text))


def scheduled(at: datetime, now: datetime) -> str | None:
    """Say why an email may not be scheduled for `at`, or None."""
    if at < now - PAST:
        return "is in the past"
    if at > year_after(now):
        return "is more than a year ahead"
    return None


def expiring(at: datetime, now: datetime, scheduled_at: datetime | None) -> str | None:
    """Say why an email first released at `scheduled_at` (or now) may not expire at `at`, or None."""
    release = max(now, scheduled_at or now)
    if at <= release:
        return "must be after scheduled_at" if release > now else "is in the past"
    if at > release + status.LATEST_DEADLINE:
        return "is more than 5 days after the email is first released"
    return None


def year_after(now: datetime) -> datetime:
    """Return the same day of the next year (March 1st after a February 29th)."""
    try:
        return now.replace(year=now.year + 1)
    except ValueError:
        return now.replace(year=now.year + 1, month=3, day=1)
