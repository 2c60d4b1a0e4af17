"""Messages of strangers, taken apart as far as they go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracker import mime

MULTI = b"Content-Type: multipart/mixed; boundary=x\n\npreamble\n--x\n\none\n--x\nContent-Type: text/html\n\n<p>two\n--x--\nepilogue"


def test_parts_are_what_stands_between_the_boundary_lines() -> None:
    part = mime.read(MULTI)
    assert [(one.kind, one.raw) for one in part.parts] == [("text/plain", b"one"), ("text/html", b"<p>two")]


@pytest.mark.parametrize("ends", [b"\r\n", b"\r"])
def test_other_line_ends_read_the_same(ends: bytes) -> None:
    part = mime.read(MULTI.replace(b"\n", ends))
    assert [one.text().strip() for one in part.parts] == ["one", "<p>two"]


@pytest.mark.parametrize(
    "raw",
    [
        MULTI.replace(b"--x--\nepilogue", b""),
        MULTI.replace(b"boundary=x", b'boundary="y"'),
        MULTI.replace(b"boundary=x", b"charset=utf-8 ; BOUNDARY = x ; a=b"),
        b"From me@x Mon\n" + MULTI,
    ],
    ids=["no last line", "another boundary", "odd parameters", "an mbox line before"],
)
def test_a_damaged_multipart_still_has_its_parts(raw: bytes) -> None:
    assert len(mime.read(raw.replace(b"--x", b"--xboundary").replace(b"=x", b"=xboundary")).parts) == 2


def test_empty_lines_before_a_header_do_not_end_it() -> None:
    for before in ("\n", "\r\n", "  \n\n"):
        assert mime.read(f"{before}Subject: x\n\nbody".encode()).field("subject") == "x"
    assert mime.read(b"\nDear reader,\n").raw == b"Dear reader,\n"


def test_a_boundary_may_begin_another_one() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n--xy is text\nand a --x\n--x--\n"
    assert [one.raw for one in mime.read(raw).parts] == [b"--xy is text\nand a --x"]


def test_fields_are_unfolded_and_decoded_and_asked_in_any_case() -> None:
    part = mime.read(b"Subject: =?utf-8?q?H=C3=A9?=\n =?utf-8?b?bGxv?=\nX-A: 1\nx-a: 2\nX-B: \xc3\xa9\n\n")
    assert part.field("SUBJECT") == "Héllo"
    assert part.all("X-A") == ["1", "2"]
    assert part.field("x-b") == "é"
    assert part.field("none") == ""


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        ("é".encode(), "", "é"), ("é".encode("latin-1"), "", "é"), ("é".encode("latin-1"), "iso-8859-1", "é"), ("é".encode(), "nonsense", "é"),
        ("宛先が見つかりませんでした。".encode("euc_jp"), "", "宛先が見つかりませんでした。"),
        ("メッセージは送信できませんでした".encode("shift_jis"), "", "メッセージは送信できませんでした"),
        ("宛先不明です".encode("iso2022_jp"), "", "宛先不明です"), ("Сообщение не доставлено".encode("koi8_r"), "", "Сообщение не доставлено"),
        ("Сообщение не доставлено".encode("cp1251"), "", "Сообщение не доставлено"), ("邮件传输失败".encode("gb18030"), "", "邮件传输失败"),
        ("Información útil, según él".encode("latin-1"), "", "Información útil, según él"), ("Größe überschritten".encode("latin-1"), "utf-8", "Größe überschritten"),
        (b"a\0b", "", "a\ufffdb"),
    ],
)  # fmt: skip
def test_a_text_is_read_in_the_charset_it_claims_or_in_the_likeliest(
    raw: bytes, charset: str, text: str
) -> None:
    assert mime.decoded(raw, charset) == text


def test_transfer_encodings_come_off_as_far_as_they_go() -> None:
    assert mime.read(b"Content-Transfer-Encoding: base64\n\naGVs\nbG8=").body() == b"hello"
    assert mime.read(b"Content-Transfer-Encoding: base64\n\naGVsbG8gd29y").body() == b"hello wor"
    assert (
        mime.read(b"Content-Transfer-Encoding: Quoted-Printable\n\nh=C3=A9=\nllo").body() == "héllo".encode()
    )


@given(st.binary(max_size=2000))
def test_a_part_says_something_whatever_it_is(raw: bytes) -> None:
    for part in mime.read(raw).walk():
        part.text().encode("utf-8")
