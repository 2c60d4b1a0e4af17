import email
import email.policy
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.mail import composing
from shared.mail.address import Mailbox
from shared.mail.composing import ComposeError, Letter

BOUNDARY = "=_0192f0c1"


def letter(**changed: object) -> Letter:
    fields: dict[str, object] = {
        "message_id": "<0192f0c1@example.com>",
        "date": datetime(2026, 11, 4, 9, 5, 7, tzinfo=UTC),
        "from_address": "no-reply@example.com",
        "from_name": "Example",
        "to": (Mailbox("jane@example.org", "Jane Doe"),),
        "subject": "Welcome",
        "text": "Hello",
        "boundary": BOUNDARY,
    }
    return Letter(**(fields | changed))  # type: ignore[arg-type]


def lines(message: bytes) -> list[str]:
    return message.decode().split("\r\n")


def line(message: bytes, name: str) -> str:
    head = message.decode().partition("\r\n\r\n")[0].replace("\r\n ", "\n ")
    return next(field for field in head.split("\r\n") if field.startswith(f"{name}:"))


def test_every_header_has_its_place() -> None:
    message = composing.compose(
        letter(
            html="<p>Hello</p>",
            cc=[Mailbox("cc@example.org")],
            reply_to=[Mailbox("help@example.com", "Help, please")],
            headers=[("X-Campaign", "welcome"), ("X-Campaign", "again")],
            extra=[("X-Sendlog-Id", "0192f0c1")],
        )
    )
    assert lines(message) == [
        "Date: Wed, 04 Nov 2026 09:05:07 +0000",
        "From: Example <no-reply@example.com>",
        "To: Jane Doe <jane@example.org>",
        "Cc: cc@example.org",
        'Reply-To: "Help, please" <help@example.com>',
        "Message-ID: <0192f0c1@example.com>",
        "Subject: Welcome",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-generated",
        "X-Campaign: welcome",
        "X-Campaign: again",
        "X-Sendlog-Id: 0192f0c1",
        "Content-Type: multipart/alternative;",
        f' boundary="{BOUNDARY}"',
        "",
        f"--{BOUNDARY}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "Hello",
        f"--{BOUNDARY}",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "<p>Hello</p>",
        f"--{BOUNDARY}--",
        "",
    ]


def test_a_letter_of_html_alone_is_one_part() -> None:
    message = composing.compose(letter(text=None, html="<p>x</p>"))
    assert message.endswith(
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n<p>x</p>\r\n"
    )


def test_an_empty_letter_is_a_message_all_the_same() -> None:
    assert composing.compose(letter(text=None)).endswith(b"7bit\r\n\r\n")


def test_the_date_is_utc_whatever_zone_it_came_in() -> None:
    moment = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert line(composing.compose(letter(date=moment)), "Date") == "Date: Wed, 31 Dec 2025 22:30:00 +0000"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "jane@example.org"),
        ("  ", "jane@example.org"),
        ("Jane Doe", "Jane Doe <jane@example.org>"),
        ("Doe, Jane", '"Doe, Jane" <jane@example.org>'),
        ('a "b" \\ c', '"a \\"b\\" \\\\ c" <jane@example.org>'),
        ("J. Doe", '"J. Doe" <jane@example.org>'),
        ("Jürgen", "=?utf-8?q?J=C3=BCrgen?= <jane@example.org>"),
        ("日本語", "=?utf-8?b?5pel5pys6Kqe?= <jane@example.org>"),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <jane@example.org>"),
    ],
)
def test_a_name_is_quoted_or_encoded_only_where_it_must_be(name: str, shown: str) -> None:
    assert line(composing.compose(letter(to=[Mailbox("jane@example.org", name)])), "To") == f"To: {shown}"


def test_an_international_domain_goes_out_as_a_labels() -> None:
    international = letter(to=[Mailbox("jane@münchen.de")])
    assert line(composing.compose(international), "To") == "To: jane@xn--mnchen-3ya.de"
    assert not composing.needs_smtputf8(international)


def test_a_local_part_that_is_not_ascii_goes_out_raw_and_needs_smtputf8() -> None:
    for field in ("to", "cc", "reply_to"):
        international = letter(**{field: [Mailbox("用户@例え.テスト")]})
        assert "用户@xn--r8jz45g.xn--zckzah".encode() in composing.compose(international)
        assert composing.needs_smtputf8(international)
    assert composing.needs_smtputf8(letter(from_address="用户@example.com"))
    assert not composing.needs_smtputf8(letter())


def test_fifty_addressees_are_folded_between_them() -> None:
    to = [Mailbox(f"{'x' * (number % 20)}{number}@example.org", f"Someone {number}") for number in range(50)]
    field = line(composing.compose(letter(to=to)), "To")
    assert all(len(row) <= 76 for row in field.split("\n"))
    assert field.replace("\n", "").count(">, Someone") == 49


@pytest.mark.parametrize(
    "poison", ["\r\n", "\n", "\r", "\0", "\u2028", "\u2029", "\x85", "\x0b", "\x1b", "\ud800"]
)
def test_nothing_unchecked_becomes_a_header_of_its_own(poison: str) -> None:
    evil = f"x{poison}Bcc: evil@example.org{poison}{poison}body"
    message = composing.compose(
        letter(
            subject=evil,
            from_name=evil,
            to=[Mailbox("jane@example.org", evil)],
            headers=[("X-Custom", evil)],
            extra=[("X-Sendlog-Id", evil)],
        )
    )
    head = message.partition(b"\r\n\r\n")[0]
    names = [row.partition(b":")[0] for row in head.split(b"\r\n") if not row.startswith(b" ")]
    assert names[:7] == b"Date From To Message-ID Subject MIME-Version Auto-Submitted".split()
    assert names[7:] == b"X-Custom X-Sendlog-Id Content-Type Content-Transfer-Encoding".split()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", message)
    read = email.message_from_bytes(message, policy=email.policy.default)
    assert all(poison not in str(read[name]) for name in ("Subject", "X-Custom", "X-Sendlog-Id"))
    assert all(poison not in read[name].addresses[0].display_name for name in ("From", "To"))


@pytest.mark.parametrize("name", ["Bcc", "BCC", "", "X Y", "X:", "X\r\nBcc", "X\n", "Ü", "x" * 77])
def test_a_header_name_that_would_break_the_message_is_refused(name: str) -> None:
    for field in ("headers", "extra"):
        with pytest.raises(ComposeError):
            composing.compose(letter(**{field: [(name, "x")]}))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "a@b@c",
        "a b@c",
        "a@b>",
        "a@b\r\nBcc: c@d",
        "a@b\n",
        "a@b,c",
        "a@b\x85",
        '"a"@b',
        "a@\u2028b",
        "ü\ud800@b",
    ],
)
def test_an_address_that_would_break_the_message_is_refused(address: str) -> None:
    for field in (
        {"from_address": address},
        {"to": [Mailbox(address)]},
        {"cc": [Mailbox(address)]},
        {"reply_to": [Mailbox(address)]},
    ):
        with pytest.raises(ComposeError):
            composing.compose(letter(**field))


@pytest.mark.parametrize("message_id", ["", "<a b>", "<a>\r\nX: y", "<ü@x>"])
def test_a_message_id_that_would_break_the_message_is_refused(message_id: str) -> None:
    with pytest.raises(ComposeError):
        composing.compose(letter(message_id=message_id))


@pytest.mark.parametrize("boundary", ["", 'a"b', "a b", "a\r\nb", "x" * 71, "ü"])
def test_a_boundary_that_is_none_is_refused(boundary: str) -> None:
    with pytest.raises(ComposeError):
        composing.compose(letter(html="x", boundary=boundary))
