"""Replies read from bytes: the same however they are cut, and nothing else is ever taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.outcome import Reply
from services.dispatcher.replies import MAX_LINE, MAX_LINES, Replies

CODES = st.integers(200, 559)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=40)
REPLIES = st.lists(st.tuples(CODES, st.lists(TEXTS, min_size=1, max_size=4)), min_size=1, max_size=5)


def spoken(code: int, texts: list[str]) -> str:
    last = len(texts) - 1
    return "".join(f"{code}{' ' if n == last else '-'}{text}\r\n" for n, text in enumerate(texts))


def read(*packets: bytes, owed: int = 1) -> tuple[list[Reply], str | None]:
    replies = Replies()
    replies.owed = owed
    for packet in packets:
        if wrong := replies.feed(packet, 1.0):
            return list(replies.queue), wrong
    return list(replies.queue), None


@given(REPLIES, st.data())
def test_replies_are_the_same_however_the_bytes_are_cut(
    wanted: list[tuple[int, list[str]]], data: st.DataObject
) -> None:
    raw = "".join(spoken(code, texts) for code, texts in wanted).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    packets = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    found, wrong = read(*packets, owed=len(wanted))
    assert wrong is None
    assert [(reply.code, reply.text) for reply in found] == [
        (code, "\n".join(texts)) for code, texts in wanted
    ]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_noise_never_raises_and_never_yields_more_than_is_owed(packets: list[bytes]) -> None:
    found, _ = read(*packets, owed=2)
    assert len(found) <= 2
    assert all(200 <= reply.code < 560 for reply in found)
    assert all(part.isprintable() for reply in found for part in reply.line.split("\n"))


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"ok\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"199 ok\r\n",
        b"560 ok\r\n",
        b"+25 ok\r\n",
        "２５０ ok\r\n".encode(),
        b"250-a\r\n251 b\r\n",
        b"250-a\r\nb\r\n",
        b"EHLO",
        b"2x",
        b"99",
        b"250 " + b"x" * MAX_LINE + b"\r\n",
        b"250 " + b"x" * MAX_LINE,
        b"250-x\r\n" * (MAX_LINES + 1),
    ],
    ids=lambda raw: repr(raw[:16]),
)
def test_what_is_no_reply_is_said_to_be_none(raw: bytes) -> None:
    found, wrong = read(raw)
    if raw == b"99":  # could still become a code, as far as two digits tell
        raw += b"9"
        found, wrong = read(raw)
    assert found == []
    assert wrong is not None


def test_a_reply_of_as_many_lines_as_are_allowed_is_one_reply() -> None:
    found, wrong = read(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n")
    assert wrong is None
    assert len(found) == 1


@pytest.mark.parametrize("raw", [b"250 one\r\n250 two\r\n", b"250 one\r\n2", b"250 one\r\n250-two\r\n"])
def test_more_than_is_owed_is_wrong(raw: bytes) -> None:
    found, wrong = read(raw)
    assert [reply.text for reply in found] == ["one"]
    assert wrong is not None
    assert "unsolicited" in wrong


def test_nothing_after_noise_is_believed() -> None:
    found, wrong = read(b"garbage\r\n250 2.0.0 queued\r\n", owed=2)
    assert found == []
    assert wrong is not None


@pytest.mark.parametrize("raw", [b"250\r\n", b"250 \r\n", b"250\n", b"250 ok\n"])
def test_small_liberties_are_taken(raw: bytes) -> None:
    (reply,), wrong = read(raw)
    assert wrong is None
    assert reply.code == 250


def test_hidden_text_is_in_no_reply() -> None:
    replies = Replies()
    replies.owed, replies.hidden = 2, ("secret",)
    replies.feed(b"250-your secret\r\n250 is secret\r\n250 secret\r\n", 1.0)
    assert [reply.text for reply in replies.queue] == ["your ***\nis ***", "***"]


def test_control_characters_are_replaced() -> None:
    (reply,), _ = read(b"250 a\x00b\x1b[31mc\xff\x85\r\n")
    assert reply.text == "a\ufffdb\ufffd[31mc\ufffd\ufffd"


@pytest.mark.parametrize(
    ("line", "enhanced"),
    [
        ("250 2.1.5 ok", "2.1.5"),
        ("550 5.1.1", "5.1.1"),
        ("550 5.1.1\nmore", "5.1.1"),
        ("450 4.2.0 grey", "4.2.0"),
        ("550 4.2.0 of another class", None),
        ("550 no such user 5.1.1", None),
        ("550 5.1.1000 x", None),
        ("550 5.1.1x", None),
        ("250", None),
        ("550 192.0.2.1 is blocked", None),
    ],
)
def test_an_enhanced_code_is_one_of_the_replys_own_class(line: str, enhanced: str | None) -> None:
    assert Reply(int(line[:3]), line).enhanced == enhanced
