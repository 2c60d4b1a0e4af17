"""A form taken apart: whatever the pieces it comes in, its parts are what was put together; and what is no form."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import multipart, multipart_head
from services.gateway.errors import ApiError
from services.gateway.multipart_head import Head, HeadError

MARK = b"XmarkX"


def form(*parts: tuple[str, bytes], ending: bytes = b"--\r\n") -> bytes:
    made = b"".join(
        b"--" + MARK + b"\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n" for head, body in parts
    )
    return made + b"--" + MARK + ending


def field(name: str, *lines: str) -> str:
    return "\r\n".join([f'Content-Disposition: form-data; name="{name}"', *lines])


class Pieces:
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.waiting = [piece for piece in pieces if piece]

    async def more(self) -> bytes:
        return self.waiting.pop(0) if self.waiting else b""

    def left(self) -> int | None:
        return None


def reader(pieces: Sequence[bytes]) -> multipart.Reader:
    return multipart.Reader(Pieces(pieces), MARK)


def taken(pieces: Sequence[bytes]) -> list[tuple[Head, bytes]]:
    async def take() -> list[tuple[Head, bytes]]:
        opened = reader(pieces)
        parts = []
        while (head := await opened.next()) is not None:
            parts.append((head, b"".join([piece async for piece in opened.body()])))
        return parts

    return asyncio.run(take())


def refused(*pieces: bytes) -> ApiError:
    with pytest.raises(ApiError) as error:
        taken(pieces)
    return error.value


_almost = st.sampled_from(
    [b"\r\n--XmarkY", b"\r\n--XmarX", b"\r", b"\n", b"\r\n", b"--", b"\r\n--", MARK, b"\r\n.\r\n", b"\0"]
)


@given(
    st.lists(st.lists(_almost | st.binary(max_size=20), max_size=6), min_size=1, max_size=4),
    st.integers(1, 40),
)
def test_bodies_come_out_as_they_went_in_whatever_the_pieces(bodies: list[list[bytes]], size: int) -> None:
    wholes = [b"".join(one) for one in bodies]
    if any(b"\r\n--" + MARK in b"\r\n" + one for one in wholes):
        return
    data = form(*[(field(f"f{number}"), body) for number, body in enumerate(wholes)])
    parts = taken([data[at : at + size] for at in range(0, len(data), size)])
    assert parts == [(Head(f"f{number}", None, None, None), body) for number, body in enumerate(wholes)]


@given(st.binary(max_size=300))
def test_whatever_the_bytes_nothing_is_raised_but_a_refusal(data: bytes) -> None:
    for body in (data, b"--" + MARK + data, b"--" + MARK + b"\r\n" + data, form((field("a"), data))):
        with suppress(ApiError):
            taken([body])


def test_a_break_before_the_first_boundary_and_blanks_behind_it_are_borne() -> None:
    data = b"\r\n--" + MARK + b" \t\r\n" + field("a").encode() + b"\r\n\r\nx\r\n--" + MARK + b"--\r\n rest"
    assert [(head.name, body) for head, body in taken([data])] == [("a", b"x")]
    assert taken([b"--" + MARK + b"--"]) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"preamble\r\n" + form((field("a"), b"x")),
        form((field("a"), b"x"), ending=b""),
        form((field("a"), b"x"), ending=b"-"),
        form((field("a"), b"x"))[:-12],
        form((field("a"), b"x"), ending=b"Z\r\n\r\n\r\n--" + MARK + b"--"),
        form((field("a"), b"x"), ending=b"--" + b"\r\n" * 1000),
        b"--" + MARK + b"\r\n\r\nno head\r\n--" + MARK + b"--",
        form(("Content-Type: text/plain", b"x")),
        form(("Content-Disposition: attachment; name=a", b"x")),
        form(("Content-Disposition: form-data", b"x")),
        form((field("a", "Content-Transfer-Encoding: base64"), b"eA==")),
        form((field("a", "Content-Encoding: gzip"), b"x")),
        form((field("a", "no colon"), b"x")),
        form((field("a", " folded: b"), b"x")),
        form((field("a", "X: a\nY: b"), b"x")),
        form((field("a", "X: \0"), b"x")),
        form((field("a", 'Content-Disposition: form-data; name="b"'), b"x")),
        form((field("a", *["X%d: y" % n for n in range(40)]), b"x")),  # noqa: UP031
        form(('Content-Disposition: form-data; name="a"; name="b"', b"x")),
        form(('Content-Disposition: form-data; name="a', b"x")),
        form(("Content-Disposition: form-data; name=a; filename*=ÿ'", b"x")),
    ],
)
def test_what_is_no_form_is_refused(data: bytes) -> None:
    assert refused(data).status == 400
    assert refused(*[data[at : at + 1] for at in range(len(data))]).status == 400


def test_a_head_is_bounded() -> None:
    assert refused(form((field("a", "X: " + "y" * 9000), b"x"))).status == 413
    assert refused(b"--" + MARK + b"\r\nX: ", *[b"y" * 500] * 100).status == 413


def test_a_million_parts_are_refused_at_once() -> None:
    data = form(*[(field("a"), b"x")] * 300)
    started = time.perf_counter()
    assert refused(data * 300).status == 413
    assert time.perf_counter() - started < 1


def test_a_body_full_of_near_boundaries_takes_no_longer_than_another() -> None:
    near = (b"\r\n--" + MARK[:-1]) * (4 * 1024 * 1024 // 9)
    data = form((field("a"), near))
    started = time.perf_counter()
    [(_, body)] = taken([data[at : at + 65536] for at in range(0, len(data), 65536)])
    assert body == near
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("given_", "name"),
    [
        ('filename="a.txt"', "a.txt"),
        ("filename=a.txt", "a.txt"),
        ('filename=""', ""),
        ('FileName="ž-naïve.txt"', "ž-naïve.txt"),
        ('filename="a%22b.txt"', 'a"b.txt'),
        ('filename="a%0D%0Ab"', "a\r\nb"),
        ('filename="100%25.txt"', "100%25.txt"),
        (r'filename="a\"b\\c"', 'a"b\\c'),
        (r'filename="C:\dir\a.txt"', r"C:\dir\a.txt"),
        ('filename="a;b=c.txt"; x=y', "a;b=c.txt"),
        ("filename*=UTF-8''%C5%BE%20x.txt", "ž x.txt"),
        ("filename*=utf-8'en'%e2%82%ac", "€"),
        ("filename*=iso-8859-1''na%EFve", "naïve"),
        ("filename=\"fallback\"; filename*=UTF-8''real", "real"),
        ('filename*0="first "; filename*1=second', "first second"),
        ("filename*0*=UTF-8''%C5; filename*1*=%BE; filename*2=\"%41\"", "ž%41"),
    ],
)
def test_a_filename_is_understood_however_it_is_written(given_: str, name: str) -> None:
    head = multipart_head.parse(f'Content-Disposition: form-data; name="a"; {given_}'.encode())
    assert head.filename == name


@pytest.mark.parametrize(
    "given_",
    [
        "filename*=x",
        "filename*=UTF-8''%ff",
        "filename*1=b",
        "filename*=klingon''x",
        'filename="a" b',
        'filename="a',
    ],
)
def test_a_filename_that_cannot_be_understood_is_refused(given_: str) -> None:
    with pytest.raises(HeadError):
        multipart_head.parse(f'Content-Disposition: form-data; name="a"; {given_}'.encode())


@given(st.text(max_size=40))
def test_any_name_comes_back_from_the_way_browsers_write_it(name: str) -> None:
    try:
        written = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        block = f'Content-Disposition: form-data; name="a"; filename="{written}"'.encode()
    except UnicodeEncodeError:
        return
    if "\\" in name or "%" in name or any(ord(c) < 32 or ord(c) == 127 for c in written):
        return
    assert multipart_head.parse(block).filename == name


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415), ("application/json", 415), ("multipart/mixed; boundary=x", 415), ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400), ("multipart/form-data; boundary=" + "x" * 71, 400),
        ('multipart/form-data; boundary="a\u00e4"', 400), ('multipart/form-data; boundary="x', 400),
        ("multipart/form-data; boundary=a; boundary=b", 400), ('multipart/form-data; boundary="x "', 400),
    ],
)  # fmt: skip
def test_without_a_boundary_there_is_no_form(content_type: str, status: int) -> None:
    with pytest.raises(ApiError) as error:
        multipart_head.boundary(content_type)
    assert error.value.status == status


def test_a_boundary_is_found_in_quotes_and_without() -> None:
    assert multipart_head.boundary("multipart/form-data; boundary=abc") == b"abc"
    assert multipart_head.boundary('Multipart/Form-Data; charset=utf-8; boundary="a b:c"') == b"a b:c"
