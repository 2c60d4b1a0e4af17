import base64
import quopri

import pytest

from shared.mail import mime

BOUNDARY = "=_0192f0c1"


def encoding(body: bytes) -> str:
    return body.partition(b"\r\n")[0].decode()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "7bit"),
        ("plain\ttext\n\n", "7bit"),
        ("x" * 998 + "\n" + "y" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("Grüße aus Köln, und noch mehr Text", "quoted-printable"),
        ("Καλημέρα κόσμε", "base64"),
        ("日本語", "base64"),
        ("nul \0 in a line of text", "quoted-printable"),
        ("escape \x1b in a line of text", "quoted-printable"),
        ("From here on to the end of the line", "quoted-printable"),
        ("a line\nFrom here on to the end", "quoted-printable"),
        ("a From inside", "7bit"),
        ("half a pair \ud83d in a line of text", "7bit"),
    ],
)
def test_the_shortest_safe_encoding_is_chosen(text: str, name: str) -> None:
    body = mime.encoded(text)
    assert encoding(body) == name
    assert all(len(line) <= (998 if name == "7bit" else 76) for line in body.split(b"\r\n")[2:])


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\rb"])
def test_any_line_end_becomes_crlf(text: str) -> None:
    assert mime.encoded(text) == b"7bit\r\n\r\na\r\nb"


def test_trailing_spaces_of_a_quoted_line_are_kept() -> None:
    quoted = mime.encoded("ein schöner Tag \nund noch einer\t\n").partition(b"\r\n\r\n")[2]
    assert b"Tag=20\r\n" in quoted
    assert b"einer=09\r\n" in quoted


@pytest.mark.parametrize(
    "text",
    [
        "ö From From ",
        "From From a longer line of text, all of it plain",
        "a" * 68 + " From From " * 9 + "ö",
        "ö a longer line" + "\nFrom x and much more" * 5,
        "x" * 70 + " From y ö" * 9,
    ],
)
def test_no_quoted_line_begins_with_from(text: str) -> None:
    body = mime.encoded(text)
    quoted = body.partition(b"\r\n\r\n")[2]
    assert encoding(body) == "quoted-printable"
    assert not any(line.startswith(b"From ") for line in quoted.split(b"\r\n"))
    assert all(len(line) <= 76 for line in quoted.split(b"\r\n"))
    assert quopri.decodestring(quoted).decode() == text.replace("\n", "\r\n")


@pytest.mark.parametrize("text", ["日本語" * 100, "é" * 57, "ё\n" * 100])
def test_base64_holds_the_text_with_the_line_ends_of_the_wire(text: str) -> None:
    body = mime.encoded(text)
    assert encoding(body) == "base64"
    assert base64.b64decode(body.partition(b"\r\n\r\n")[2]).decode() == text.replace("\n", "\r\n")


def test_a_boundary_that_occurs_in_a_body_is_varied_the_same_way_each_time() -> None:
    text = f"quoting\n--{BOUNDARY}--\n"
    first, second = (mime.entity(text, "<p>x</p>", BOUNDARY) for _ in range(2))
    assert first == second
    varied = first.partition(b'boundary="')[2].partition(b'"')[0]
    assert varied.startswith(BOUNDARY.encode() + b"_")
    assert first.count(b"--" + varied) == 3


def test_another_text_with_the_boundary_in_it_gets_another_variation() -> None:
    marks = {
        mime.entity(f"{word} --{BOUNDARY}", "x", BOUNDARY).partition(b'boundary="')[2][:60] for word in "ab"
    }
    assert len(marks) == 2
