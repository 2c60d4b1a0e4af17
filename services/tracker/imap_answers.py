"""Reads what IMAP answers to FETCH (RFC 3501, 7.4.2), in whatever order a server says it. Pure; never raises.

Answers nobody asked for stand between those that were: other programs' flags, messages without a UID. They are no
messages.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, TypeAlias

Answer: TypeAlias = Iterable[bytes | tuple[bytes, bytes] | None]
_UID: Final = re.compile(rb"\bUID (\d{1,10})\b", re.IGNORECASE)
_SIZE: Final = re.compile(rb"\bRFC822\.SIZE (\d{1,20})\b", re.IGNORECASE)
_DATE: Final = re.compile(rb'\bINTERNALDATE "([^"]{10,40})"', re.IGNORECASE)
_NEXT: Final = re.compile(rb"\A\d+ \(")
OLDEST: Final = timedelta(days=30)


class Item(NamedTuple):
    """A message in the mailbox: its number, its size in bytes, and when it arrived there."""

    uid: int
    size: int
    at: datetime


def listed(answer: Answer, now: datetime) -> list[Item]:
    """Return the messages of an answer with UID, RFC822.SIZE and INTERNALDATE, each once, in order."""
    found: dict[int, Item] = {}
    for part in answer:
        line = part[0] if isinstance(part, tuple) else part
        uid, size = _number(_UID, line), _number(_SIZE, line)
        if uid is not None and size is not None:
            found[uid] = Item(uid, size, _arrived(line or b"", now))
    return sorted(found.values())


def unsized(answer: Answer) -> set[int]:
    """Return the UIDs that an answer names without a size anywhere: flags nobody asked for, or half an answer."""
    lines = [part[0] if isinstance(part, tuple) else part for part in answer]
    named = {uid for line in lines if (uid := _number(_UID, line)) is not None}
    return named - {_number(_UID, line) for line in lines if _number(_SIZE, line) is not None}


def believed(at: datetime, now: datetime) -> datetime:
    """Return the time of arrival as evidence: a mailbox's clock that is a month behind is not believed."""
    return at if at >= now - OLDEST else now


def bodies(answer: Answer) -> dict[int, bytes]:
    """Return the literals of an answer by the UID that stands before or behind each."""
    found: dict[int, bytes] = {}
    head, literal = b"", None
    for part in (*answer, b"0 ("):  # the last ends the message before it
        if isinstance(part, tuple):
            _keep(found, head, literal)
            head, literal = part
        elif part is not None and _NEXT.match(part):
            _keep(found, head, literal)
            head, literal = b"", None
        elif part is not None:
            head += b" " + part
    return found


def _keep(found: dict[int, bytes], head: bytes, literal: bytes | None) -> None:
    uid = _number(_UID, head)
    if literal is not None and uid is not None:
        found[uid] = literal


def _number(pattern: re.Pattern[bytes], line: bytes | None) -> int | None:
    match = pattern.search(line or b"")
    return int(match[1]) if match else None


def _arrived(line: bytes, now: datetime) -> datetime:
    """Return the time of arrival, never one ahead of us; now when there is none to be read."""
    match = _DATE.search(line)
    try:
        at = parsedate_to_datetime((match[1] if match else b"").decode().strip().replace("-", " ", 2))
    except (ValueError, TypeError, IndexError, OverflowError):
        return now
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return min(at, now)
