"""Whatever files a message has, the stdlib parser gives them back bit by bit, beside the bodies as they were."""

import email
import email.policy
import email.utils
import hashlib
import os
import re
from email import base64mime
from email.message import EmailMessage, Message

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.mail import composing, enclosing, header, mime
from tests.contract.composing import letters

_thorough = settings(max_examples=60, deadline=None)
LONE_DOT = b"before\r\n.\r\nafter\n.\n\r.\r" + bytes(range(256))

_NAMES = (
    st.text(min_size=1, max_size=120)
    | st.lists(
        st.sampled_from(
            [
                "ž",
                "ï",
                "日本",
                "🎉",
                '"',
                "\\",
                "'",
                "%41",
                "*",
                ";",
                "=",
                "=?utf-8?q?x?=",
                "  ",
                ".",
                "a" * 30,
            ]
        ),
        min_size=1,
        max_size=12,
    ).map("".join)
).filter(lambda name: header.check_value(name) is None and email.utils.unquote(name) == name)
# The reader takes quotes around a whole name, and <>, for its own, also where they were percent-encoded.
_TYPES = st.sampled_from(
    [
        "image/png",
        "text/plain",
        "text/csv; charset=utf-8",
        "text/html",
        "application/pdf",
        "nonsense",
        "message/rfc822",
    ]
)
_FILES = st.tuples(
    _NAMES,
    _TYPES,
    st.binary(max_size=300) | st.sampled_from([b"", LONE_DOT, b"x" * 57, b"x" * 58, b"x" * 114]),
    st.none() | st.from_regex(r"[a-z0-9.]{1,20}@[a-z]{1,10}", fullmatch=True),
    st.booleans(),
)


def a_file(
    data: bytes,
    filename: str = "a.bin",
    content_type: str = "application/octet-stream",
    content_id: str | None = None,
    inline: bool = False,
) -> enclosing.File:
    return enclosing.File(
        filename=filename,
        content_type=content_type,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        key="k",
        content_id=content_id,
        inline=inline,
    )


def written(letter: composing.Letter, contents: dict[int, bytes]) -> bytes:
    """Return the message with every file in its place; `contents` by the file's identity."""
    layout = composing.lay_out(letter)
    message = b"".join([p if isinstance(p, bytes) else mime.base64_lines(contents[id(p)]) for p in layout])
    assert len(message) == enclosing.size(layout), "the size was not known before"
    return message


def compose(*files: tuple[enclosing.File, bytes], **fields: object) -> bytes:
    letter = letters.letter(files=[file for file, _ in files], **fields)
    return written(letter, {id(file): data for file, data in files})


def leaves(message: EmailMessage) -> list[EmailMessage]:
    return [part for part in message.walk() if not part.is_multipart()]


def payload(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


@_thorough
@given(st.lists(_FILES, min_size=1, max_size=6), letters.BODY, letters.BODY)
@example([("ž-naïve.txt", "text/plain", LONE_DOT, None, False)], "Hello\n.\n", "<p>Hello</p>")
def test_every_file_and_both_bodies_come_back_bit_by_bit(
    files: list[tuple[str, str, bytes, str | None, bool]], text: str, html: str
) -> None:
    made = [(a_file(data, name, kind, cid, inline), data) for name, kind, data, cid, inline in files]
    message = compose(*made, text=text, html=html)
    letters.assert_fit_for_the_wire(message)
    found = leaves(letters.read(message))
    assert [part.get_content_type() for part in found[:2]] == ["text/plain", "text/html"]
    assert [payload(part).decode() for part in found[:2]] == [letters.as_lines(text), letters.as_lines(html)]
    came = sorted((part.get_filename() or "", payload(part)) for part in found[2:])
    assert came == sorted((file.filename.strip(), data) for file, data in made)  # the parser strips names
    assert not [part.defects for part in found if part.defects]


@_thorough
@given(_NAMES)
@example("ž-naïve.txt")
@example("a" * 200 + ".pdf")
@example("a  b.txt")
@example(" x ")
@example("請求書" * 40 + ".pdf")
def test_a_filename_comes_back_whatever_it_is_and_has_a_twin_in_ascii(name: str) -> None:
    message = compose((a_file(b"x", name), b"x"))
    # The older parser unquotes an extended value as if it were a quoted one.
    older = [] if name.strip()[:1] in ('"', "<") else [email.policy.compat32]
    for policy in (email.policy.default, *older):
        part = list(email.message_from_bytes(message, policy=policy).walk())[-1]
        assert (part.get_filename() or "") == name.strip()  # the parser strips
    raw = message[message.index(b"Content-Type: application") :]
    (twin,) = re.findall(rb'\r\n name="([^"\r\n\\]{1,60})"\r\n', raw)
    assert twin.isascii()
    assert all(len(line) <= 78 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("report.pdf", "report.pdf"),
        ("ž-naïve.txt", "z-naive.txt"),
        ("請求書.pdf", "___.pdf"),
        ('a"b\\c.txt', "a_b_c.txt"),
        ("x" * 100 + ".pdf", "x" * 56 + ".pdf"),
    ],
)
def test_the_twin_in_ascii_is_as_near_as_it_gets(name: str, twin: str) -> None:
    assert f'name="{twin}"'.encode() in compose((a_file(b"x", name), b"x"))


def shape(part: Message) -> object:
    kind = part.get_content_type()
    return [kind, *map(shape, part.get_payload())] if part.is_multipart() else kind


PLAIN, HTML, PNG, PDF = "text/plain", "text/html", "image/png", "application/pdf"
SHOWN = "<img src='cid:logo@x'>"


@pytest.mark.parametrize(
    ("text", "html", "kinds", "expected"),
    [
        ("t", None, "p", ["multipart/mixed", PLAIN, PDF]),
        (None, None, "p", ["multipart/mixed", PLAIN, PDF]),
        (None, "h", "p", ["multipart/mixed", HTML, PDF]),
        ("t", "h", "p", ["multipart/mixed", ["multipart/alternative", PLAIN, HTML], PDF]),
        (None, SHOWN, "i", ["multipart/related", HTML, PNG]),
        ("t", SHOWN, "i", ["multipart/alternative", PLAIN, ["multipart/related", HTML, PNG]]),
        (
            "t",
            SHOWN,
            "pi",
            ["multipart/mixed", ["multipart/alternative", PLAIN, ["multipart/related", HTML, PNG]], PDF],
        ),
        ("t", None, "i", ["multipart/mixed", PLAIN, PNG]),
        ("t", SHOWN, "c", ["multipart/alternative", PLAIN, ["multipart/related", HTML, PNG]]),
        ("t", "no picture", "c", ["multipart/mixed", ["multipart/alternative", PLAIN, HTML], PNG]),
    ],
)
def test_what_the_html_shows_is_related_to_it_and_the_rest_is_beside(
    text: str | None, html: str | None, kinds: str, expected: object
) -> None:
    known = {
        "p": a_file(b"pdf", "a.pdf", PDF),
        "i": a_file(b"png", "logo.png", PNG, "logo@x", inline=True),
        "c": a_file(b"png", "logo.png", PNG, "logo@x"),
    }
    message = letters.read(compose(*[(known[kind], b"png") for kind in kinds], text=text, html=html))
    assert shape(message) == expected
    for part in leaves(message):
        if part.get_content_type() == PNG:
            assert part["content-id"] == "<logo@x>"


def test_a_shown_file_is_inline_and_another_is_an_attachment() -> None:
    message = compose(
        (a_file(b"1", "a.png", PNG, "logo@x"), b"1"), (a_file(b"2", "b.pdf", PDF), b"2"), html=SHOWN
    )
    said = {part.get_filename(): part.get_content_disposition() for part in leaves(letters.read(message))}
    assert said == {None: None, "a.png": "inline", "b.pdf": "attachment"}


def test_a_content_type_keeps_its_parameters_and_cannot_break_out() -> None:
    for given_type, expected in (
        ("text/calendar; method=REQUEST; charset=utf-8", "text/calendar; method=REQUEST; charset=utf-8"),
        ('text/csv; name="x.csv"; charset="utf-8"', 'text/csv; charset="utf-8"'),
        ("image/png\r\nBcc: x@y.test", "image/png"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed; boundary=x", "application/octet-stream"),
        ("", "application/octet-stream"),
    ):
        message = compose((a_file(b"x", "a", given_type), b"x"))
        assert f'Content-Type: {expected};\r\n name="a"\r\n'.encode() in message
        assert b"\r\nBcc" not in message


def test_a_content_id_cannot_break_out() -> None:
    message = compose((a_file(b"x", "a.png", PNG, "a>\r\nBcc: é <b", inline=True), b"x"), html="x")
    assert b"Content-ID: <a%3E%0D%0ABcc:%20%C3%A9%20%3Cb>\r\n" in message


def test_a_body_that_holds_the_boundaries_ends_no_part() -> None:
    body = "".join(f"--{letters.BOUNDARY}{end}\n" for end in ("", "--", ".m", ".m--", ".a--", ".r--"))
    message = letters.read(compose((a_file(b"x"), b"x"), text=body, html=body))
    assert [payload(part).decode() for part in leaves(message)[:2]] == [letters.as_lines(body)] * 2
    assert len(leaves(message)) == 3


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 57 * 1024 - 1, 57 * 1024, 57 * 1024 + 1, 57 * 2048 + 3])
def test_base64_in_pieces_is_base64_of_the_whole(size: int) -> None:
    data = os.urandom(size)
    step = mime.BASE64_BYTES * 3
    pieces = [mime.base64_lines(data[at : at + step]) for at in range(0, size, step)]
    whole = mime.base64_lines(data)
    assert b"".join(pieces) == whole == base64mime.body_encode(data, eol="\r\n").encode()
    assert len(whole) == mime.base64_size(size)


def test_equal_letters_with_files_are_laid_out_equally() -> None:
    def once() -> enclosing.Layout:
        return composing.lay_out(letters.letter(files=[a_file(b"x", "ž.txt")], html="<p>x</p>"))

    assert once() == once()
