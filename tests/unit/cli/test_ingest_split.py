"""Messages in files: one file one message, an mbox as many as it has, no line of a message taken for a separator."""

import io

import pytest

from cli.ingest import split

HEAD = b"From: a@x.test\n\nHello.\n"


def names(data: bytes) -> list[tuple[str, bytes]]:
    return list(split("f", io.BytesIO(data)))


@pytest.mark.parametrize("data", [b"", b"\n", HEAD, b"From here on\n\nFrom a@b Mon Jan  5 10:00:00 2026\n"])
def test_what_does_not_begin_as_an_mbox_is_one_message(data: bytes) -> None:
    assert names(data) == [("f", data)]


def test_an_mbox_is_cut_at_its_separators_alone() -> None:
    one = b"From a@x.test Mon Jan  5 10:00:00 2026\n"
    body = HEAD + b"\nFrom now on it is better.\n>From the start\n>>From quoted\n\n"
    assert names(one + body + b"From MAILER-DAEMON Tue Jan  6 10:00:00 2026\n" + HEAD) == [
        ("f#1", body.replace(b">From the", b"From the").replace(b">>From", b">From")),
        ("f#2", HEAD),
    ]
    assert names(one + HEAD + one) == [("f#1", HEAD + one)]  # no empty line before it: a line of the message


def test_an_mbox_with_line_ends_of_mail_is_cut_alike() -> None:
    one = b"From - Mon Jan  5 10:00:00 2026\r\n"
    letter = HEAD.replace(b"\n", b"\r\n") + b"\r\n"
    assert names(one + letter + one + letter) == [("f#1", letter), ("f#2", letter)]
