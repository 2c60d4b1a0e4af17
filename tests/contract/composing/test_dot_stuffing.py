"""What follows DATA is one message, whole, whatever its bytes (RFC 5321 4.5.2)."""

import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.dispatcher import envelope

_BYTES = st.lists(
    st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"..", b"x", b"MAIL FROM:<a@b.test>", b"\0"]), max_size=40
).map(b"".join)


def sent(message: bytes, chunk: int) -> bytes:
    """Return what the transaction writes after DATA, cut into pieces of about this size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "CHUNK", chunk)
        return b"".join(envelope.pieces(message)) + b".\r\n"


def receive(data: bytes) -> bytes:
    """Read as a strict server does: up to the first line that is a lone dot, unstuffed."""
    lines = data.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end:] == [b".", b""], "something is left behind the final dot"
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:end])


@settings(max_examples=1000, deadline=None)
@given(message=_BYTES | st.binary(max_size=200), chunk=st.sampled_from([1, 2, 3, 7, 64 * 1024]))
@example(message=b"", chunk=1)
@example(message=b".", chunk=1)
@example(message=b".\r\n.\r\n", chunk=3)
@example(message=b"a\n.\nMAIL FROM:<x@y.test>\n", chunk=2)
@example(message=b"a\r.\rMAIL", chunk=2)
@example(message=b"a\r\r\n.\r\n", chunk=3)
def test_one_message_arrives_whole(message: bytes, chunk: int) -> None:
    stuffed = sent(message, chunk)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", stuffed), "a lone CR or LF could end it elsewhere"
    clean = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    assert receive(stuffed) in (clean, clean + b"\r\n")


def test_a_message_without_dots_only_gets_its_end() -> None:
    assert sent(b"Subject: x\r\n\r\nbody.\r\n", 64 * 1024) == b"Subject: x\r\n\r\nbody.\r\n.\r\n"


@settings(max_examples=1000, deadline=None)
@given(message=_BYTES | st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=8))
@example(message=b"a\r\n.\r\n", cuts=[2])
@example(message=b"a\r\n.\r\n", cuts=[3])
@example(message=b"a\r\r\n.\r", cuts=[1, 2, 3, 4])
@example(message=b"a\n.\n", cuts=[2])
def test_wherever_the_pieces_are_cut_what_leaves_is_the_same(message: bytes, cuts: list[int]) -> None:
    stuffing = envelope.Stuffing()
    ends = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    pieces = [stuffing.add(message[start:end]) for start, end in itertools.pairwise(ends)]
    assert b"".join([*pieces, stuffing.end()]) == envelope.stuffed(message)
