"""Turns what is asked of statistics, exports and the feed into checked questions, with every problem listed. Pure."""

import base64
import binascii
import re
import struct
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from services.gateway import identifiers
from services.gateway.emails import times
from services.gateway.errors import Problem, invalid
from services.gateway.tracking import fields, periods, signals
from shared.events.base import REGISTRY

DEFAULT_PERIOD: Final = timedelta(days=30)
_YEARS: Final = range(1970, 2200)
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,3}")
_CURSOR: Final = struct.Struct(">q")
_LARGEST: Final = 2**63 - 1


class Period(NamedTuple):
    """What is counted, and the beginnings of the intervals."""

    begin: datetime
    end: datetime
    zone: ZoneInfo
    starts: list[datetime]
    tag: str | None
    account_id: str | None


class Selection(NamedTuple):
    """What is exported; None: all."""

    begin: datetime | None
    end: datetime | None
    types: list[str] | None
    tag: str | None
    account_id: str | None


class _Problems:
    def __init__(self) -> None:
        self._found: list[Problem] = []

    def say(self, name: str, message: str) -> None:
        self._found.append(Problem(f"$.{name}", message))

    def time(self, name: str, text: str | None) -> datetime | None:
        """Return the time, if there is one."""
        try:
            at = times.parse_query(text) if text is not None else None
        except times.TimeError as error:
            self.say(name, str(error))
            return None
        if at is not None and at.year not in _YEARS:
            self.say(name, f"must be from {_YEARS.start} to {_YEARS.stop - 1}")
            return None
        return at

    def account(self, text: str | None) -> str | None:
        """Return the id of an account, if there is one."""
        found = identifiers.as_uuid(text) if text is not None else None
        if text is not None and found is None:
            self.say("smtp_account_id", "must be a UUID")
        return found

    def zone(self, name: str) -> ZoneInfo:
        """Return the time zone of this name."""
        try:
            if _ZONE.fullmatch(name):
                return ZoneInfo(name)
        except (ValueError, OSError, KeyError):  # KeyError: no such zone
            pass
        self.say("timezone", "must be the name of a time zone, such as Europe/Berlin")
        return ZoneInfo("UTC")

    def refuse(self) -> None:
        """Raise what was found: ApiError."""
        if self._found:
            raise invalid(self._found)


def period(query: fields.StatsQuery, now: datetime) -> Period:
    """Return what is to be counted. Raises: ApiError."""
    problems = _Problems()
    zone, account_id = problems.zone(query.timezone), problems.account(query.smtp_account_id)
    from_, to = problems.time("from", query.from_), problems.time("to", query.to)
    problems.refuse()
    end = periods.quarter_up(to or now)
    begin = periods.quarter_down(from_ or (to or now) - DEFAULT_PERIOD)
    if (to or now) <= (from_ or begin):
        problems.say("to" if to else "from", "must be after from" if to else "must be in the past")
    elif periods.too_many(begin, end, query.interval):
        reason = f"gives more than {periods.MAX_POINTS} points: take a longer interval or a shorter period"
        problems.say("interval", reason)
    problems.refuse()
    starts = periods.starts(begin, end, query.interval, zone)
    return Period(begin, end, zone, starts, query.tag, account_id)


def selection(query: fields.ExportQuery) -> Selection:
    """Return what is to be exported. Raises: ApiError."""
    problems = _Problems()
    begin, end = problems.time("from", query.from_), problems.time("to", query.to)
    if begin and end and end <= begin:
        problems.say("to", "must be after from")
    account_id, types = problems.account(query.smtp_account_id), None
    if query.type is not None:
        words = query.type.split(",")
        types = [name for word in words for name in signals.TYPES.get(word, ())]
        if not set(words) <= signals.TYPES.keys():
            problems.say("type", f"must be one or more of {', '.join(signals.TYPES)}")
    problems.refuse()
    return Selection(begin, end, types, query.tag, account_id)


def place(query: fields.EventsQuery) -> tuple[int, list[str] | None]:
    """Return after which record the feed goes on, and the CloudEvents types wanted. Raises: ApiError."""
    problems, after, types = _Problems(), 0, None
    if query.after is not None:
        try:
            after = _opened(query.after)
        except ValueError:
            problems.say("after", "is not a cursor of ours; take it from meta.next_cursor")
    if query.types is not None:
        known: dict[str, list[str]] = {}
        for full, kind in REGISTRY.items():
            for word in (full, f"email.{kind.name}", kind.name):
                known.setdefault(word, []).append(full)
        words = query.types.split(",")
        types = sorted({full for word in words for full in known.get(word, ())})
        if wrong := [word for word in words if word not in known]:
            problems.say("types", f"{wrong[0][:80]!r} is no event; see docs/events.md")
    problems.refuse()
    return after, types


def cursor(sequence: int) -> str:
    """Return the opaque text that leads on after a record."""
    return base64.urlsafe_b64encode(_CURSOR.pack(sequence)).decode().rstrip("=")


def _opened(text: str) -> int:
    """Return the record a cursor stands for. Raises: ValueError."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        (sequence,) = _CURSOR.unpack(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, struct.error, UnicodeError) as error:
        raise ValueError("no cursor of ours") from error
    if not 0 <= sequence <= _LARGEST:
        raise ValueError("no cursor of ours")
    return int(sequence)
