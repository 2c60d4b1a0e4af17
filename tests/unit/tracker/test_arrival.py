"""When a message arrived: the time of who took it last, as long as that can be true."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracker import arrival, mime

SENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TOOK = b"Received: from mx.test (mx.test [192.0.2.1]; helo=mx)\r\n\tby ours.test; Tue, 24 Nov 2026 10:00:00 +0200 (CEST)\r\n"
WROTE = b"Date: Tue, 24 Nov 2026 07:00:00 -0000\r\n"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (TOOK + WROTE, datetime(2026, 11, 24, 8, 0, 0, 999_000, tzinfo=UTC)),
        (TOOK + TOOK.replace(b"24", b"23") + WROTE, datetime(2026, 11, 24, 8, 0, 0, 999_000, tzinfo=UTC)),
        (WROTE, datetime(2026, 11, 24, 7, 0, 0, 999_000, tzinfo=UTC)),
        (WROTE.replace(b"24", b"20"), NOW),  # before the email was there
        (TOOK.replace(b"Nov", b"Dec"), NOW),  # the future
        (TOOK.replace(b"Nov", b"Dec") + WROTE, NOW),
        (b"Received: by ours.test\r\n" + WROTE, NOW),
        (WROTE.replace(b"24 Nov 2026 07:00", b"30 Nov 2026 12:00"), NOW),  # this very second
        (b"Date: soon\r\n", NOW),
        (b"", NOW),
    ],
)
def test_it_is_when_the_last_server_took_it_if_that_can_be(head: bytes, expected: datetime) -> None:
    assert arrival.at(mime.read(b"Subject: x\r\n" + head + b"\r\n"), SENT, NOW) == expected


@given(st.text(), st.text())
def test_whatever_is_written_there_it_lies_between_the_email_and_now(date: str, trace: str) -> None:
    message = mime.read(f"Received: {trace}\r\nDate: {date}\r\n\r\n".encode("utf-8", "replace"))
    assert NOW - timedelta(days=7) <= arrival.at(message, SENT, NOW) <= NOW
