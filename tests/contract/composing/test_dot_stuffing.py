"""What follows DATA is one message, whole, whatever its bytes (RFC 5321 4.5.2)."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.dispatcher import composing

_BYTES = st.lists(
    st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"..", b"x", b"MAIL FROM:<a@b.test>", b"\0"]), max_size=40
).map(b"".join)


def receive(data: bytes) -> bytes:
    """Read as a strict server does: up to the first line that is a lone dot, unstuffed."""
    lines = data.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end:] == [b".", b""], "something is left behind the final dot"
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:end])


@settings(max_examples=1000, deadline=None)
@given(_BYTES | st.binary(max_size=200))
@example(b"")
@example(b".")
@example(b".\r\n.\r\n")
@example(b"a\n.\nMAIL FROM:<x@y.test>\n")
@example(b"a\r.\rMAIL")
@example(b"a\r\r\n.\r\n")
def test_one_message_arrives_whole(message: bytes) -> None:
    stuffed = composing.dot_stuff(message)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", stuffed), "a lone CR or LF could end it elsewhere"
    clean = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    assert receive(stuffed) in (clean, clean + b"\r\n")


def test_a_message_without_dots_only_gets_its_end() -> None:
    assert composing.dot_stuff(b"Subject: x\r\n\r\nbody.\r\n") == b"Subject: x\r\n\r\nbody.\r\n.\r\n"
