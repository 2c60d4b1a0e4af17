"""Reading a message leniently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.mailbox import content


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"Subject: plain\r\n\r\n", "plain"),
        (b"From: a\r\nsubject:folded\r\n over lines\r\n\r\n", "folded over lines"),
        (b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n", "caf\u00e9"),
        (b"Subject: =?no-such-charset?q?x?=\r\n\r\n", "=?no-such-charset?q?x?="),
        (b"Subject: gr\xc3\xbc\xc3\x9fe\r\n\r\n", "gr\u00fc\u00dfe"),
        (b"From: a\r\n\r\nSubject: in the body\r\n", ""),
        (b"", ""),
    ],
)
def test_the_subject_is_read_from_the_head_and_decoded(raw: bytes, subject: str) -> None:
    assert content.subject_of(raw) == subject


def test_text_html_and_attachments_are_told_apart() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=latin-1\r\n\r\ngr\xfcn\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n"
        b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF\r\n--b--\r\n"
    )
    opened = content.opened(raw)
    assert opened.text == "gr\u00fcn"
    assert opened.html == "<b>x</b>"
    assert [(a.filename, a.content_type, a.size) for a in opened.attachments] == [
        ("a.pdf", "application/pdf", 4)
    ]


@given(st.binary(max_size=400) | st.from_regex(rb"(?s)(Content-Type|Subject|From): .{0,80}\r\n\r\n.{0,40}"))
def test_no_message_is_too_broken_to_be_shown(raw: bytes) -> None:
    content.opened(raw)
    content.subject_of(raw)
