"""Letters as hypothesis draws them, and the wire's rules that every one of them must keep."""

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage

from hypothesis import strategies as st

from shared.mail import address, composing, header

WHEN = datetime(2026, 11, 24, 9, 5, 7, tzinfo=UTC)
BOUNDARY = "=_0192f0c17b2a7c3d8e4f5a6b7c8d9e0f"
FROM = "no-reply@example.com"

_PIECES = st.sampled_from(
    [
        "=?utf-8?q?x?=",
        "=?",
        "?=",
        "=",
        "_",
        " ",
        "  ",
        "\t",
        '"',
        "\\",
        "(",
        ")",
        "<",
        ">",
        ",",
        ";",
        ":",
        "@",
        ".",
        "From ",
        "é",
        "ß",
        "日本語",
        "🎉",
        "👩‍👩‍👧",
        "e\u0301",
        "Ω" * 40,
        "a" * 80,
        "word ",
        "mot é ",
    ]
)
_SOUP = st.lists(_PIECES | st.text(max_size=12), max_size=40).map("".join)


def _is_header_text(value: str) -> bool:
    return header.check_value(value) is None


HEADER_TEXT = (st.text(max_size=300) | _SOUP).filter(_is_header_text)
BODY = st.text(max_size=2000) | st.lists(
    _PIECES
    | st.sampled_from(["\n", "\r\n", "\r", ".", "\n.", "\n.\n", "\0", "--" + BOUNDARY, "x" * 1100])
    | st.text(),
    max_size=60,
).map("".join)

_LOCAL = st.from_regex(r"[a-z0-9+_-]{1,20}(\.[a-z0-9]{1,10})?", fullmatch=True) | st.sampled_from(
    ["用户", "jürgen", "δοκιμή"]
)
_DOMAIN = st.sampled_from(
    ["example.com", "world.test", "münchen.de", "例え.テスト", "a." * 40 + "test", "localhost"]
)
_ADDRESS = st.builds(lambda local, domain: f"{local}@{domain}", _LOCAL, _DOMAIN)
NAME = (st.text(max_size=60) | _SOUP.map(lambda text: text[:200])).filter(_is_header_text)
MAILBOX = st.builds(address.Mailbox, _ADDRESS, NAME)
MAILBOXES = st.lists(MAILBOX, max_size=8)


def letter(**changed: object) -> composing.Letter:
    fields: dict[str, object] = {
        "message_id": "<0192f0c1@example.com>",
        "date": WHEN,
        "from_address": FROM,
        "to": [address.Mailbox("jane@example.org", "Jane Doe")],
        "subject": "Welcome",
        "text": "Hello Jane",
        "boundary": BOUNDARY,
    }
    return composing.Letter(**(fields | changed))  # type: ignore[arg-type]


def read(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


def head(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[0]


def assert_fit_for_the_wire(message: bytes) -> None:
    assert message.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", message), "a lone CR or LF"
    assert all(len(line) <= 998 for line in message.split(b"\r\n"))
    assert not re.search(rb"^From ", message, re.MULTILINE)


def as_lines(text: str) -> str:
    """A body with the line ends of the wire."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
