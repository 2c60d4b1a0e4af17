import base64
import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.emails import index, listing
from tests.unit.gateway.emails.requests import paths

PLACE = listing.Place(
    datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC), "0190a0a0-0000-7000-8000-00000000000a"
)


def _read(**query: Any) -> tuple[listing.Listing, list[str]]:
    reader = listing.Reader(listing.Query(**query))
    asked = reader.listing()
    return asked, paths(reader.problems)


def test_nothing_asked_is_the_newest_twenty() -> None:
    assert _read() == (listing.Listing(), [])


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ({"status": "queued"}, ("status", "queued")),
        ({"status": "queued,deferred"}, ("statuses", ["queued", "deferred"])),
        ({"unified_status": "sent"}, ("unified_status", "sent")),
        ({"to": "ANN@World.Test"}, ("to", "ann@world.test")),
        ({"to": "@World"}, ("to_contains", "%@world%")),
        ({"from_": "Ann <ann@world.test>"}, ("from", "ann@world.test")),
        ({"from_": "ann"}, ("from_contains", "%ann%")),
        ({"subject": "100%_\\"}, ("subject", "%100\\%\\_\\\\%")),
        ({"q": "tea"}, ("any", "%tea%")),
        ({"tag": "a"}, ("tag", "a")),
        ({"batch_id": "b"}, ("batch_id", "b")),
        (
            {"smtp_account_id": "0190A0A0-0000-7000-8000-00000000000A"},
            ("smtp_account_id", "0190a0a0-0000-7000-8000-00000000000a"),
        ),
        (
            {"created_after": "2026-11-24T13:00:00+01:00"},
            ("created_after", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ),
    ],
)
def test_a_filter_is_one_condition(query: dict[str, str], condition: tuple[str, object]) -> None:
    asked, problems = _read(**query)
    assert not problems
    assert asked.filters == (condition,)


def test_every_problem_of_a_query_is_listed() -> None:
    _, problems = _read(
        status="lost",
        unified_status="",
        to="a\0b",
        smtp_account_id="mine",
        created_after="yesterday",
        scheduled_before="2026-11-24T13:00:00",
        sort="subject",
        page=0,
        per_page=101,
        cursor="nonsense",
    )
    assert sorted(problems) == sorted(
        [
            "$.status",
            "$.unified_status",
            "$.to",
            "$.smtp_account_id",
            "$.created_after",
            "$.scheduled_before",
            "$.sort",
            "$.page",
            "$.per_page",
            "$.cursor",
        ]
    )


def test_a_page_too_deep_for_an_offset_points_to_the_cursor() -> None:
    assert _read(page=1001, per_page=100)[1] == []
    assert _read(page=1002, per_page=100)[1] == ["$.page"]


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_cursor_is_read_back_as_its_place(newest_first: bool) -> None:
    text = listing.cursor(PLACE, newest_first)
    assert listing.read_cursor(text) == (newest_first, PLACE)
    asked, problems = _read(cursor=text, sort="-created_at" if newest_first else "created_at")
    assert (asked.after, problems) == (PLACE, [])


def test_a_cursor_of_the_other_order_is_refused() -> None:
    assert _read(cursor=listing.cursor(PLACE, True), sort="created_at")[1] == ["$.cursor"]


@given(st.text(max_size=60))
def test_no_text_makes_a_cursor_crash(text: str) -> None:
    with contextlib.suppress(ValueError):
        listing.read_cursor(text)


@given(st.binary(max_size=40))
def test_no_bytes_make_a_cursor_crash(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        listing.read_cursor(base64.urlsafe_b64encode(data).decode().rstrip("="))


def test_every_filter_has_its_fragment_and_arguments_are_numbered() -> None:
    conditions = index.Conditions("default", [("status", "sent"), ("any", "%x%"), ("tag", "a")])
    assert conditions.arguments == ["default", "sent", "%x%", "%x%", "%x%", "a"]
    assert "$6" in conditions.where
    assert "default" not in conditions.where
