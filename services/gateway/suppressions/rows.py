"""Owns the lines of a CSV file of suppressions, both ways. Pure but for the reading of pieces as they come.

A spreadsheet takes a cell that begins with =, +, - or @ for a formula, so on the way out an apostrophe is put before
such a cell, and taken off again on the way in.
"""

import asyncio
import codecs
import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from services.gateway.suppressions.fields import MAX_DETAIL, Suppression
from shared.mail import address
from shared.runtime.suppressions import CAUSES, Cause, Entry

COLUMNS: Final = ("email", "reason", "detail", "created_at")
MAX_RECORD: Final = 64 * 1024
PAUSE_EVERY: Final = 200  # rows, after which others have their turn
_RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "'")


class Line(NamedTuple):
    """One record of the file, and the number of the line it begins in."""

    number: int
    cells: list[str]


class Wrong(ValueError):
    """A record that is no suppression; the text says why."""


async def records(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, str]]:
    """Yield each record with its line number; a quoted cell may hold line breaks.

    Raises: UnicodeDecodeError; Wrong for a record without end.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    held: list[str] = []
    rest, length, is_open, began, number = "", 0, False, 1, 0
    async for piece in pieces:
        *lines, rest = (rest + decoder.decode(piece)).replace("\r\n", "\n").split("\n")
        if len(rest) + length > MAX_RECORD:
            raise Wrong(f"line {began} does not end within {MAX_RECORD} characters")
        for line in lines:
            number += 1
            if number % PAUSE_EVERY == 0:
                await asyncio.sleep(0)
            began = began if held else number
            held.append(line)
            length += len(line) + 1
            is_open ^= line.count('"') % 2 == 1
            if not is_open:
                yield began, "\n".join((*held, ""))
                held, length = [], 0
            elif length > MAX_RECORD:
                raise Wrong(f"line {began}: a quote is opened and not closed")
    last = rest + decoder.decode(b"", final=True)
    if held or last:
        yield (began if held else number + 1), "\n".join((*held, last))


def cells(number: int, text: str) -> Line | None:
    """Return the cells of a record, or None if it is empty. Raises: Wrong."""
    try:
        found = next(csv.reader(io.StringIO(text), strict=True), [])
    except csv.Error as error:
        raise Wrong(str(error)) from error
    return Line(number, found) if any(cell.strip() for cell in found) else None


def columns(first: Line) -> dict[str, int] | None:
    """Return where the columns are, if the first record is a header."""
    names = [cell.strip().lower() for cell in first.cells]
    if "email" not in names:
        return None
    return {name: names.index(name) for name in COLUMNS if name in names}


BY_PLACE: Final = {name: place for place, name in enumerate(COLUMNS)}


def entry(line: Line, places: dict[str, int], reason: Cause, now: datetime) -> Entry:
    """Return the suppression in a record; `reason` and `now` stand for what it leaves out. Raises: Wrong."""
    given = {
        name: _plain(line.cells[place].strip()) for name, place in places.items() if place < len(line.cells)
    }
    word = given.get("reason", "").lower() or reason
    if word not in CAUSES:
        raise Wrong(f"the reason must be one of {', '.join(CAUSES)}, not {word[:40]!r}")
    detail = given.get("detail") or None
    if detail is not None and (len(detail) > MAX_DETAIL or "\0" in detail):
        raise Wrong(f"the detail may have at most {MAX_DETAIL} characters, none of them NUL")
    try:
        email = address.parse(given.get("email", "")).address
    except address.AddressError as error:
        raise Wrong(str(error)) from error
    return Entry(
        email=email,
        reason=msgspec.convert(word, Cause),
        detail=detail,
        created_at=_time(given.get("created_at"), now),
    )


def _time(text: str | None, now: datetime) -> datetime:
    if not text:
        return now
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Wrong("created_at must be a time such as 2030-01-31T08:00:00Z") from None
    if not datetime(1970, 1, 1, tzinfo=UTC) <= found <= now:
        raise Wrong("created_at must be a time from 1970 until now")
    return found


def written(found: Iterable[Sequence[Any]]) -> bytes:
    """Return records as CSV (RFC 4180), no cell of which a spreadsheet computes."""
    out = io.StringIO()
    writer = csv.writer(out)
    for one in found:
        writer.writerow([_safe("" if cell is None else str(cell)) for cell in one])
    return out.getvalue().encode()


def of(suppressions: Iterable[Suppression]) -> Iterator[Sequence[Any]]:
    """Yield the cells of suppressions."""
    for one in suppressions:
        yield one.email, one.reason, one.detail, one.created_at.isoformat().replace("+00:00", "Z")


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_RISKY) else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_RISKY) else cell
