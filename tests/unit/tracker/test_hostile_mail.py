"""Nothing that arrives raises out of the reader or costs more than its own length."""

import random
import time
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.tracker import inbound, mime
from tests.corpus import collection

LARGE: Final = 10 * 1024 * 1024
# Ten megabytes take well under a second on an idle core; the machine that tests may be busy.
SECONDS: Final = 4.0
REPORT: Final = b"From: MAILER-DAEMON@x.example\nSubject: Undelivered Mail Returned to Sender\n\n"
HTML: Final = b"Content-Type: text/html\n\n"
STATUS: Final = b"Content-Type: message/delivery-status\n\n"


def _filled(piece: bytes) -> bytes:
    return (piece * (LARGE // len(piece) + 1))[:LARGE]


def _in_charset(name: bytes, piece: bytes) -> bytes:
    return b"Content-Type: text/plain; charset=" + name + b"\n\n" + _filled(piece)


HOSTILE: Final[dict[str, Callable[[], bytes]]] = {
    **{
        f"a report of nothing but {piece!r}": lambda piece=piece: REPORT + _filled(piece)  # type: ignore[misc]
        for piece in (
            b" ", b"\n", b"a", b"@", b"<", b"> ", b"-", b"--\n", b"5", b"5.", b"550 5.1.1 ", b"a@b.c ", b"user a@b.c\n\n",
            b"<a@b.example>: 550 5.1.1 user unknown\n", b"the following recipient ", b"Received: x\n", b"your message was\n",
            b"did not ", b"delivery ", b"mailbox user unknown not ", b"contact ", b"contact a@b ", b"user is address ",
            b"sender account not ", b"if you have ", b"check try ", b"this message is ", b"\xff", b"\xa4\xa2", b"\0", b"\x1b$B", b"{",
        )
    },
    "a million parts": lambda: b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n" * 1_000_000,
    "parts within parts": lambda: b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(100_000)),
    "messages within messages": lambda: _filled(b"Content-Type: message/rfc822\n\n"),
    "a boundary that is no line": lambda: b"Content-Type: multipart/mixed; boundary=x\n\n" + _filled(b"--x "),
    "a lost boundary": lambda: b"From: x\n\nThis is a MIME-encapsulated message\n" + _filled(b"--"),
    "a million header fields": lambda: _filled(b"X: y\n"),
    "one endless header line": lambda: _filled(b"X"),
    "an endless comment": lambda: b"Message-ID: " + _filled(b"("),
    "endless encoded words": lambda: b"Subject: " + _filled(b"=?utf-8?q?a?= "),
    "half an encoded word": lambda: b"Subject: " + _filled(b"=?"),
    "endless references": lambda: b"References: " + _filled(b"<a@b> ") + b"\n\n",
    "an endless answer": lambda: b"Subject: " + _filled(b"Re: ") + b"\n\n",
    "endless parameters": lambda: b"Content-Type: text/plain; " + _filled(b"a=b;") + b"\n\n",
    "an open quotation": lambda: b"Content-Type: multipart/mixed; " + _filled(b'a="\\') + b"\n\n",
    "nothing but base64's padding": lambda: b"Content-Transfer-Encoding: base64\n\n" + _filled(b"="),
    "quoted-printable": lambda: b"Content-Transfer-Encoding: quoted-printable\n\n" + _filled(b"=41"),
    "scripts": lambda: HTML + _filled(b"<script>"),
    "open tags": lambda: HTML + _filled(b'<div class="'),
    "open angles": lambda: HTML + _filled(b"<"),
    "endless recipients": lambda: STATUS + b"".join(b"Final-Recipient: rfc822; a%d@b\nAction: failed\n\n" % i for i in range(200_000)),
    "an endless status field": lambda: STATUS + _filled(b"Final-Recipient: "),
    "endless addresses": lambda: REPORT + b"".join(b"<a%d@b.example>: 550 user unknown\n" % i for i in range(250_000)),
    "deep json": lambda: REPORT + b'{"a":' * 2_000_000,
    "long json": lambda: REPORT + b'{"notificationType":"Bounce","bounce":{"bouncedRecipients":[' + b'{"emailAddress":"a@b.c"},' * 300_000,
    "a number too long": lambda: REPORT + b'{"a":' + b"9" * 5_000_000,
    "punycode": lambda: _in_charset(b"punycode", b"a"),
    "idna": lambda: _in_charset(b"idna", b"a."),
    "utf-7": lambda: _in_charset(b"utf-7", b"+"),
    "hz": lambda: _in_charset(b"hz", b"~{"),
    "carriage returns": lambda: _filled(b"\r"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(HOSTILE))
def test_ten_megabytes_are_read_in_time(name: str) -> None:
    raw = HOSTILE[name]()
    begun = time.process_time()
    inbound.read(raw)
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize(
    "words",
    ["a" * 3900, "ab " * 1300, "unknown " * 480, "user " * 780, "한" * 3900, "user unknown " * 290 + "absender", "bad user " * 420 + "absender"],
)  # fmt: skip
def test_what_a_server_is_said_to_have_said_costs_no_more_than_its_length(words: str) -> None:
    group = "Final-Recipient: rfc822; a{0}@x.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 {0} {1}\n"
    told = "\n".join(group.format(one, words) for one in range(30))
    raw = STATUS + f"Reporting-MTA: dns; mx\n\n{told}".encode()
    begun = time.process_time()
    inbound.read(raw)
    assert time.process_time() - begun < SECONDS


@given(st.binary(max_size=4000))
def test_no_bytes_raise(raw: bytes) -> None:
    inbound.read(raw)
    inbound.read(REPORT + raw)


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_of_a_message_raises(seed: int) -> None:
    chance = random.Random(seed)
    messages = list(collection.everything())
    for _ in range(150):
        inbound.read(_mutated(chance, chance.choice(messages), chance.choice(messages)))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    kind=st.sampled_from(
        ["multipart/report", "message/delivery-status", "message/rfc822", "text/plain", "text/html", "multipart/digest",
         "message/feedback-report", "message/disposition-notification", "message/global-delivery-status", "", "/", "a/"]
    ),
    parameters=st.text(alphabet='boundary="x;= \\charset*utf-8()', max_size=60),
    encoding=st.sampled_from(["base64", "quoted-printable", "8bit", "x-uuencode", "(((", ""]),
    body=st.text(max_size=600),
)  # fmt: skip
def test_no_structure_raises(kind: str, parameters: str, encoding: str, body: str) -> None:
    head = f"Content-Type: {kind}; {parameters}\nContent-Transfer-Encoding: {encoding}\n\n"
    inbound.read(f"{head}--x\n{head}{body}\n--x--\n{body}".encode("utf-8", "replace"))


class TestTrapsOfTheStandardLibrary:
    def test_a_bracketed_message_id_is_a_value(self) -> None:
        assert mime.read(b"Message-ID: <[abc]@x>\n\n").field("message-id") == "<[abc]@x>"

    def test_nested_comments_are_no_recursion(self) -> None:
        assert mime.read(b"Content-Type: " + b"(" * 100_000 + b"\n\nx").kind == "text/plain"

    @pytest.mark.parametrize(
        "charset",
        [b"nonsense", b"(((", b'"', b"utf-8\0", b"rot13", b"zlib", b"base64", b"undefined", b"x" * 5000],
    )
    def test_an_unknown_charset_is_read_as_likely(self, charset: bytes) -> None:
        raw = b"Content-Type: text/plain; charset=" + charset + b"\n\nabc \xc3\xa9"
        assert mime.read(raw).text().startswith("abc ")

    def test_a_message_part_is_one_message(self) -> None:
        part = mime.read(b"Content-Type: message/rfc822\n\nSubject: inner\n\nx")
        assert [one.field("subject") for one in part.parts] == ["inner"]
        assert part.body().startswith(b"Subject")

    def test_an_encoded_message_part_is_read_all_the_same(self) -> None:
        part = mime.read(
            b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW5uZXIKCng="
        )
        assert part.parts[0].field("subject") == "inner"

    def test_headers_depth_and_parts_are_capped(self) -> None:
        head = mime.read(b"X-A: b\n" * 100_000)
        assert len(head.fields) <= mime.MAX_FIELDS
        many = mime.read(b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n1\n" * 5000)
        assert len(list(many.walk())) <= mime.MAX_PARTS
        deep = mime.read(
            b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(50))
        )
        assert len(list(deep.walk())) <= mime.MAX_DEPTH + 1

    def test_nul_and_surrogates_do_not_get_into_what_is_said(self) -> None:
        part = mime.read(b"Subject: a\0b\xed\xa0\x80\n\nc\0d")
        assert "\0" not in part.field("subject") + part.text()
        (part.field("subject") + part.text()).encode("utf-8")


def _mutated(chance: random.Random, raw: bytes, other: bytes) -> bytes:
    data = bytearray(raw)
    for _ in range(chance.randint(1, 12)):
        at, length = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 8, 100, 2000))
        match chance.randrange(6):
            case 0:
                del data[at : at + length]
            case 1:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                data[at:at] = data[at : at + length] * chance.randint(1, 5)
            case 3:
                start = chance.randrange(len(other) + 1)
                data[at:at] = other[start : start + length]
            case 4:
                data[at:at] = chance.choice(
                    (
                        b"\r\n\r\n",
                        b"\n--",
                        b"=?",
                        b"\0",
                        b"\xff\xfe",
                        b'"',
                        b"(",
                        b"<",
                        b";",
                        b"@",
                        b"\n ",
                        b":",
                    )
                )
            case _:
                del data[at:]
    return bytes(data)
