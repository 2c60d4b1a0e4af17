"""How much of the log may go: archived, read by everybody, and outside the hot window."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.projector import decisions
from services.projector.decisions import Reader, Stretch
from tests.controls.emails import NOON

HOT = timedelta(hours=72)
_readers = st.builds(Reader, st.integers(0, 100), st.integers(0, 3), st.integers(0, 3))


def _stretches(*ages_in_hours: float, emails: int = 100) -> list[Stretch]:
    """Return stretches of 1000 records, newest first."""
    count = len(ages_in_hours)
    return [
        Stretch((count - place) * 1000, emails, NOON - timedelta(hours=age))
        for place, age in enumerate(ages_in_hours)
    ]


@pytest.mark.parametrize(
    ("readers", "read"),
    [
        ([Reader(50, 0, 0)], 90),  # its last record was 50; all beyond is none of its business
        ([Reader(50, 1, 0)], 50),
        ([Reader(50, 0, 1)], 50),
        ([Reader(0, 0, 0)], 90),  # a filtered consumer that never matched reports 0
        ([Reader(0, 2, 0)], 0),
        ([Reader(95, 0, 0)], 95),
        ([Reader(90, 0, 0), Reader(7, 5, 0), Reader(40, 0, 2)], 7),
    ],
)
def test_the_slowest_consumer_decides(readers: list[Reader], read: int) -> None:
    assert decisions.read_by_all(readers, last=90) == read


@given(st.lists(_readers, min_size=1), st.integers(0, 100))
def test_nothing_goes_that_somebody_has_not_acknowledged(readers: list[Reader], last: int) -> None:
    read = decisions.read_by_all(readers, last)
    for reader in readers:
        assert read <= reader.acked or (reader.is_caught_up and read <= last)


def test_what_is_older_than_the_window_is_outside() -> None:
    assert decisions.window_begins(_stretches(1, 71, 73, 100), NOON, HOT, 10_000) == 3000


def test_what_is_beyond_the_number_of_emails_is_outside() -> None:
    assert decisions.window_begins(_stretches(1, 2, 3, 4), NOON, HOT, 200) == 3000
    assert decisions.window_begins(_stretches(1, 2, 3, 4), NOON, HOT, 201) == 2000


def test_a_window_larger_than_the_log_keeps_all_of_it() -> None:
    assert decisions.window_begins(_stretches(1, 2, 3), NOON, HOT, 10_000) == 1000


def test_of_a_log_nobody_knows_nothing_is_outside_the_window() -> None:
    assert decisions.window_begins([], NOON, HOT, 10_000) == 0


def test_the_newest_stretch_is_kept_however_old_it_is() -> None:
    assert decisions.window_begins(_stretches(500, 600), NOON, HOT, 10_000) == 2000


@pytest.mark.parametrize(
    ("read", "begins", "full", "keep"),
    [
        (500, 300, 0.1, 101),  # one slice of 100
        (500, 40, 0.1, 40),
        (30, 300, 0.1, 31),
        (500, 1, 0.1, None),
        (0, 300, 0.1, None),
        (0, 300, 0.99, None),  # full or not: what somebody has not read stays
        (500, 1, decisions.FULL, 101),  # the window yields to a log that fills up
        (500, 1, decisions.FULL - 0.01, None),
    ],
)
def test_a_slice_ends_where_something_is_still_needed(
    read: int, begins: int, full: float, keep: int | None
) -> None:
    assert decisions.next_slice(1, read, begins, full, size=100) == keep
