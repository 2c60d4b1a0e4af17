import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail import reply_text, rfc3463


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.2.0 Greylisted, try again in 300 seconds", 300),
        ("Greylisted for 300 seconds", 300),
        ("Please try again in 5 minutes", 300),
        ("retry after 00:05:00", 300),
        ("Greylisting in action, please come back in 00:04:59", 299),
        ("wait 90s and try again", 90),
        ("try again in an hour", 3600),
        ("Try Again\r\n in 1 hour, 30 minutes", 5400),
        ("Greylisted by 10.0.0.1, try again in 5 min", 300),
        ("blocked for 2 days", 86400),
        ("retry in 9999999 hours", 86400),
        ("retry in 0 seconds", 0),
    ],
)
def test_a_servers_hint_is_honoured_up_to_a_day(text: str, seconds: int) -> None:
    assert rfc3463.retry_after(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "try again later",
        "limit of 100 messages in 60 seconds",
        "retry 3",
        "queue expired after 5 days",
        "try 10.0.0.1",
        "again <300 seconds@x.test>",
        "retry after 12345678901234567890 seconds",
        "retry 300 secondhand",
    ],
)
def test_no_hint_is_none(text: str) -> None:
    assert rfc3463.retry_after(text) is None


@given(st.text())
def test_any_text_is_read_within_bounds(text: str) -> None:
    wait = reply_text.retry_after(text)
    assert wait is None or timedelta(0) <= wait <= timedelta(days=1)
    reply_text.category(text, is_temporary=True)


@pytest.mark.parametrize(
    "piece", ["try again ", "greylisted 1", "<", "a@", "user ", "http://", "message exceeds ", "1:", "\0"]
)
def test_a_megabyte_of_anything_is_read_at_once(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    began = time.monotonic()
    reply_text.retry_after(text)
    reply_text.category(text, is_temporary=True)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "text", ["<no-spam@full.test> ok", "see https://x.test/spam/blocked", "for policy@x.test"]
)
def test_a_name_in_a_reply_says_nothing(text: str) -> None:
    assert reply_text.category(text, is_temporary=False) is None


def test_greylisting_is_never_read_into_a_permanent_refusal() -> None:
    assert reply_text.category("greylisted", is_temporary=True) == "greylisted"
    assert reply_text.category("greylisted", is_temporary=False) is None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Sender address rejected: user unknown", "sender_refused"),
        ("Recipient address rejected: user unknown", "invalid_recipient"),
        ("Client host rejected: see our page", "policy"),
    ],
)
def test_who_is_refused_is_not_confused(text: str, category: str) -> None:
    assert reply_text.category(text, is_temporary=False) == category
