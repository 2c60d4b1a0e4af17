import time
import uuid

import pytest

from services.gateway import identifiers


def test_a_fresh_id_is_a_uuid_of_version_7_that_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(identifiers.fresh())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_an_event_id_is_a_random_uuid() -> None:
    made = uuid.UUID(identifiers.event_id())
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    assert identifiers.event_id() != identifiers.event_id()


def test_a_key_names_one_email_of_one_workspace_for_ever() -> None:
    assert identifiers.keyed("default", "k") == "4da23292-6dad-5088-8175-6be0daf81a41"
    assert len({identifiers.keyed("a", "bc"), identifiers.keyed("ab", "c"), identifiers.keyed("a", "b")}) == 3


@pytest.mark.parametrize(("text", "good"), [("k", True), ("~ !" * 85, True), ("x" * 256, False), ("", False)])
def test_a_key_has_1_to_255_characters(text: str, good: bool) -> None:
    assert identifiers.is_key(text) is good


@pytest.mark.parametrize("text", ["ü", "a\n", "\t", "\x7f", "a\0"])
def test_a_key_is_printable_ascii(text: str) -> None:
    assert not identifiers.is_key(text)


@pytest.mark.parametrize(
    ("header", "good"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", False),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nNats-Msg-Id: x", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_valid_trace_context_is_passed_on(header: str | None, good: bool) -> None:
    assert identifiers.traceparent(header) == (header if good else None)


@pytest.mark.parametrize("text", ["*", ">", "a.b", "0190a0a0-0000-7000-8000-00000000000", "x" * 36])
def test_what_is_no_uuid_never_becomes_part_of_a_subject_or_key(text: str) -> None:
    assert identifiers.as_uuid(text) is None
