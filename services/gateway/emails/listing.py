"""What a list of emails is asked for: filters, order, page or cursor, read from the query string. Pure.

A cursor is a place in the order (created_at, email_id), not a number of rows, so what arrives meanwhile
neither repeats nor skips a row.
"""

import base64
import binascii
import re
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from services.gateway import identifiers
from services.gateway.emails import times
from services.gateway.errors import Problem
from services.gateway.paging import MAX_PER_PAGE, PER_PAGE
from shared.events import status
from shared.mail import address

MAX_OFFSET: Final = 100_000
MAX_TEXT: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = struct.Struct(">?q16s")

Condition: TypeAlias = tuple[str, Any]


class Place(NamedTuple):
    """A place in the order: the list goes on after this email."""

    created_at: datetime
    email_id: str


class Listing(NamedTuple):
    """A checked question: `filters` are names of conditions with their arguments."""

    filters: tuple[Condition, ...] = ()
    newest_first: bool = True
    page: int = 1
    per_page: int = PER_PAGE
    after: Place | None = None


def cursor(place: Place, newest_first: bool) -> str:
    """Return the opaque text that leads on from this place."""
    microseconds = (place.created_at - _EPOCH) // timedelta(microseconds=1)
    packed = _CURSOR.pack(newest_first, microseconds, uuid.UUID(place.email_id).bytes)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(text: str) -> tuple[bool, Place]:
    """Return the order a cursor was made for and its place in it. Raises: ValueError."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        newest_first, microseconds, number = _CURSOR.unpack(
            base64.b64decode(padded, altchars=b"-_", validate=True)
        )
        return newest_first, Place(
            _EPOCH + timedelta(microseconds=microseconds), str(uuid.UUID(bytes=number))
        )
    except (binascii.Error, struct.error, UnicodeError, OverflowError) as error:
        raise ValueError("no cursor of ours") from error


class Query(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What may stand in the query string of GET /emails: several statuses are separated by commas, and a
    cursor (from `meta.next_cursor`) wins over a page.
    """

    status: str | None = None
    unified_status: str | None = None
    to: str | None = None
    from_: str | None = None
    subject: str | None = None
    q: str | None = None
    tag: str | None = None
    batch_id: str | None = None
    smtp_account_id: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    scheduled_after: str | None = None
    scheduled_before: str | None = None
    sort: Annotated[str, Meta(extra_json_schema={"enum": ["-created_at", "created_at"]})] = "-created_at"
    page: Annotated[int, Meta(extra_json_schema={"minimum": 1})] = 1
    per_page: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_PER_PAGE})] = PER_PAGE
    cursor: str | None = None


class Reader:
    """Turns a query into a Listing and collects what is wrong with it."""

    def __init__(self, query: Query) -> None:
        self.problems: list[Problem] = []
        self._query = query

    def listing(self) -> Listing:
        """Return the question; it means something only if `problems` is empty."""
        query = self._query
        if query.sort not in ("created_at", "-created_at"):
            self._say("sort", "must be created_at or -created_at")
        newest_first = query.sort != "created_at"
        filters = tuple(condition for condition in map(self._condition, _FILTERS) if condition)
        if not 1 <= query.per_page <= MAX_PER_PAGE:
            self._say("per_page", f"must be a whole number from 1 to {MAX_PER_PAGE}")
        if query.page < 1:
            self._say("page", "must be a whole number from 1 on")
        if (query.page - 1) * query.per_page > MAX_OFFSET:
            self._say("page", f"reaches past row {MAX_OFFSET}; follow meta.next_cursor instead")
        return Listing(filters, newest_first, query.page, query.per_page, self._after(newest_first))

    def _condition(self, name: str) -> Condition | None:
        text: str | None = getattr(self._query, "from_" if name == "from" else name)
        if text is None:
            return None
        try:
            if "\0" in text or not 1 <= len(text) <= MAX_TEXT:
                raise ValueError(f"must be 1 to {MAX_TEXT} characters, none of them NUL")
            return _FILTERS[name](name, text)
        except ValueError as error:
            self._say(name, str(error))
            return None

    def _say(self, name: str, message: str) -> None:
        self.problems.append(Problem(f"$.{name}", message))

    def _after(self, newest_first: bool) -> Place | None:
        text = self._query.cursor
        if text is None:
            return None
        try:
            order, place = read_cursor(text)
        except ValueError:
            self._say("cursor", "is not a cursor that this API has given out")
            return None
        if order != newest_first:
            self._say("cursor", "belongs to the other sort order")
        return place


def _words(known: tuple[str, ...], several: str) -> Callable[[str, str], Condition]:
    def read(name: str, text: str) -> Condition:
        words = text.split(",")
        if not set(words) <= set(known):
            raise ValueError(f"must be one or more of {', '.join(known)}")
        # One word as an equality lets the index give the order too.
        return (name, words[0]) if len(words) == 1 else (several, words)

    return read


def _address(name: str, text: str) -> Condition:
    """A whole address is found by its normalised form; a part of one is looked for anywhere in it."""
    try:
        return name, address.normalised(address.parse(text).address)
    except address.AddressError:
        return f"{name}_contains", contains(text.lower())


def contains(text: str) -> str:
    """Return the LIKE pattern for "contains this very text"."""
    escaped = re.sub(r"([\\%_])", r"\\\1", text)
    return f"%{escaped}%"


def _contained(name: str, text: str) -> Condition:
    return name, contains(text)


def _exact(name: str, text: str) -> Condition:
    return name, text


def _uuid(name: str, text: str) -> Condition:
    found = identifiers.as_uuid(text)
    if found is None:
        raise ValueError("must be a UUID")
    return name, found


def _time(name: str, text: str) -> Condition:
    return name, times.parse_query(text)


_FILTERS: Final[dict[str, Callable[[str, str], Condition]]] = {
    "status": _words(status.STATUSES, "statuses"),
    "unified_status": _words(status.UNIFIED_STATUSES, "unified_statuses"),
    "to": _address,
    "from": _address,
    "subject": _contained,
    "q": lambda _, text: ("any", contains(text)),
    "tag": _exact,
    "batch_id": _exact,
    "smtp_account_id": _uuid,
    "created_after": _time,
    "created_before": _time,
    "scheduled_after": _time,
    "scheduled_before": _time,
}
