import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail import header


@pytest.mark.parametrize(
    "name",
    [
        "Bcc",
        "bcc",
        "Received",
        "DKIM-Signature",
        "Return-Path",
        "Content-Type",
        "Content-Anything",
        "MIME-Version",
        "Message-ID",
        "Auto-Submitted",
        "From",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Sender",
        "Reply-To",
        "ARC-Seal",
        "Disposition-Notification-To",
        "List-Unsubscribe",
        "LIST-UNSUBSCRIBE-POST",
        "Authentication-Results",
        "Resent-To",
        "X-Sendlog-Id",
    ],
)
def test_a_structural_header_may_not_be_set(name: str) -> None:
    problem = header.check_name(name)
    assert problem
    assert name in problem


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Subject", "subject"),
        ("reply-to", "reply_to"),
        ("List-Unsubscribe", "unsubscribe"),
        ("Sender", "from"),
        ("Disposition-Notification-To", "tracking.read"),
    ],
)
def test_the_refusal_names_the_field_to_use(name: str, field: str) -> None:
    assert str(header.check_name(name)).endswith(f"use the field {field}")


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\r\n", "X\n", "Ü", "X\0", "X\t", "x" * 77, "\u2028"])
def test_a_name_that_would_break_the_header_is_refused(name: str) -> None:
    assert header.check_name(name)


@pytest.mark.parametrize(
    "name", ["X-Campaign", "List-Id", "References", "In-Reply-To", "Precedence", "x" * 76, "X!"]
)
def test_any_other_name_may_be_set(name: str) -> None:
    assert header.check_name(name) is None


@pytest.mark.parametrize(
    ("character", "said"),
    [
        ("\r", "carriage return"),
        ("\n", "line feed"),
        ("\0", "NUL"),
        ("\u2028", "U+2028"),
        ("\u2029", "U+2029"),
        ("\x85", "U+0085"),
        ("\x0b", "U+000B"),
        ("\x1b", "U+001B"),
        ("\x7f", "U+007F"),
        ("\udc80", "U+DC80"),
    ],
)
def test_a_character_that_would_end_a_line_is_named(character: str, said: str) -> None:
    for value in (character, f"a{character}b", f"a{character}"):
        assert said in str(header.check_value(value))


@pytest.mark.parametrize("value", ["", "plain", "a\tb", "Grüße 🎉", "\N{NO-BREAK SPACE}", "👩‍👩‍👧", "\u202e"])
def test_any_other_character_is_fine(value: str) -> None:
    assert header.check_value(value) is None


def test_a_value_may_be_as_long_as_its_limit() -> None:
    assert header.check_value("x" * 998, header.MAX_SUBJECT) is None
    assert "998" in str(header.check_value("x" * 999, header.MAX_SUBJECT))
    assert header.check_value("x" * (header.MAX_VALUE + 1))


@given(st.text(st.characters()))
def test_what_was_neutralised_passes_and_what_passes_stays(value: str) -> None:
    assert header.check_value(header.neutralise(value)) is None
    if header.check_value(value) is None:
        assert header.neutralise(value) == value
