"""Suppressions as lines of a CSV file: read as they come in pieces, written so that no spreadsheet computes them."""

import csv
import io
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.suppressions import rows
from services.gateway.suppressions.fields import Suppression
from services.gateway.suppressions.rows import Wrong

NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def records(data: bytes, size: int = 7) -> list[tuple[int, str]]:
    return [found async for found in rows.records(_pieces(data, size))]


async def lines(data: bytes, size: int = 7) -> list[tuple[int, list[str]]]:
    found = [rows.cells(number, text) for number, text in await records(data, size)]
    return [(line.number, line.cells) for line in found if line]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_records_come_out_whole_however_they_come_in(size: int) -> None:
    data = 'a@b.test,manual,"two\r\nlines, ""quoted"""\r\n\r\nč@d.test\nlast@e.test,bounce'.encode()
    assert await lines(data, size) == [
        (1, ["a@b.test", "manual", 'two\nlines, "quoted"']),
        (4, ["č@d.test"]),
        (5, ["last@e.test", "bounce"]),
    ]


async def test_a_byte_order_mark_is_no_part_of_the_first_cell() -> None:
    assert await lines(b"\xef\xbb\xbfemail\r\n") == [(1, ["email"])]


async def test_an_empty_file_has_no_records() -> None:
    assert await lines(b"") == []
    assert await lines(b"\r\n\n  \n") == []


async def test_a_quote_without_end_is_refused_before_it_fills_memory() -> None:
    with pytest.raises(Wrong):
        await records(b'"' + b"x\n" * 100_000, 4096)
    with pytest.raises(Wrong):
        await records(b"x" * 100_000, 4096)


async def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        await records(b"a@b.test\n\xff\xfe", 4)


@given(st.lists(st.lists(st.text(max_size=20), min_size=2, max_size=4), max_size=20), st.integers(1, 50))
async def test_whatever_a_writer_of_csv_writes_is_read_back(table: list[list[str]], size: int) -> None:
    table = [
        [cell.replace("\r", "").replace("\0", "").replace("\ud800", "") for cell in row] for row in table
    ]
    table = [["x", *(cell.encode("utf-8", "replace").decode() for cell in row)] for row in table]
    out = io.StringIO()
    csv.writer(out).writerows(table)
    assert [cells for _, cells in await lines(out.getvalue().encode(), size)] == table


def test_a_header_may_name_the_columns_in_any_order_and_more_of_them() -> None:
    assert rows.columns(rows.Line(1, ["Created", " Email ", "REASON"])) == {"email": 1, "reason": 2}
    assert rows.columns(rows.Line(1, ["a@b.test", "bounce"])) is None


def entry(*cells: str, **places: int) -> Any:
    return rows.entry(rows.Line(1, list(cells)), places or rows.BY_PLACE, "manual", NOW)


def test_a_record_with_an_address_alone_is_a_suppression() -> None:
    found = entry(" Ann@World.test ")
    assert (found.email, found.reason, found.detail, found.created_at) == (
        "Ann@World.test",
        "manual",
        None,
        NOW,
    )


def test_a_record_may_say_all_of_it() -> None:
    found = entry("ann@world.test", "Bounce", "550", "2029-12-31T23:00:00+02:00")
    assert (found.reason, found.detail) == ("bounce", "550")
    assert entry("ann@world.test", "", "", "2029-05-06").created_at == datetime(2029, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["nobody"],
        ["a@b.test; c@d.test"],
        ["a@b.test", "dislike"],
        ["a@b.test", "bounce", "x" * 501],
        ["a@b.test", "bounce", "", "yesterday"],
        ["a@b.test", "bounce", "", "2031-01-01"],
        ["a@b.test", "bounce", "", "0001-01-01T00:00:00+10:00"],
        ["a@b.test", "bounce", "a\0b"],
    ],
)
def test_a_record_that_is_none_says_why(cells: list[str]) -> None:
    with pytest.raises(Wrong, match=r"\w"):
        entry(*cells)


async def _read_back(data: bytes) -> list[tuple[Any, ...]]:
    (_, head), *rest = await lines(data, 1000)
    places = rows.columns(rows.Line(1, head)) or {}
    found = [rows.entry(rows.Line(number, cells), places, "manual", NOW) for number, cells in rest]
    return [(one.email, one.reason, one.detail, one.created_at) for one in found]


async def test_what_is_exported_is_imported_as_it_was() -> None:
    made = [
        Suppression(email=email, reason="bounce", detail=detail, created_at=NOW)
        for email, detail in [
            ("ann@world.test", "=1+1"),
            ("+tag@world.test", "@SUM(A1)"),
            ("=x@world.test", "-3"),
            ("'quoted@world.test", "'=1"),
            ("č@d.test", 'a, "b"\nc'),
            ("bob@world.test", None),
        ]
    ]
    data = rows.written([rows.COLUMNS]) + rows.written(rows.of(made))
    assert await _read_back(data) == [(one.email, "bounce", one.detail, NOW) for one in made]


@given(st.text(max_size=30))
def test_no_cell_that_leaves_begins_a_formula(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ((cell, *_),) = csv.reader(io.StringIO(rows.written([[text, "x"]]).decode(), newline=""), strict=True)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert rows._plain(cell) == text


async def test_a_quoted_cell_of_many_lines_costs_no_more_than_its_length() -> None:
    record = 'a@b.test,manual,"' + "\n" * 60_000 + '"\n'
    began = time.process_time()
    assert len(await records(record.encode() * 10, 64 * 1024)) == 10
    assert time.process_time() - began < 2
