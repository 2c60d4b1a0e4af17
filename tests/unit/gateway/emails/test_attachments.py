"""The files of a send object: which base64, which names, which types are taken, and what is said of the others."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.emails import attachments, draft, fields
from services.gateway.errors import ApiError, Problem

GOOD = {"to": "ann@world.test", "subject": "s", "text": "t"}


def checked(*files: object) -> tuple[draft.Draft, dict[str, str]]:
    send, problems = fields.read(GOOD | {"attachments": list(files)})
    made = draft.Checker(send, problems).draft()
    return made, {problem.path: problem.message for problem in problems}


def a_file(**changes: object) -> dict[str, object]:
    return {"filename": "a.txt", "content": "aGk="} | changes


@given(
    st.binary(max_size=400),
    st.booleans(),
    st.booleans(),
    st.integers(1, 80),
    st.sampled_from(["\n", "\r\n", " "]),
)
def test_bytes_come_back_from_every_spelling_of_base64(
    data: bytes, padded: bool, url_safe: bool, width: int, ending: str
) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    if not padded:
        text = text.rstrip("=")
    lines = ending.join(text[at : at + width] for at in range(0, len(text), width)) + ending
    assert attachments.decoded(lines) == data


@given(st.text(max_size=60))
def test_what_is_decoded_is_what_the_stdlib_decodes_and_the_rest_is_refused(text: str) -> None:
    alphabet = set(string.ascii_letters + string.digits + "+/-_=\r\n\t ")
    decoded = attachments.decoded(text)
    if decoded is not None:
        assert set(text) <= alphabet
        bare = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
        assert decoded == base64.b64decode(bare + "=" * (-len(bare) % 4))


@pytest.mark.parametrize(
    "text", ["a", "a===", "=", "aGk=aGk=", "a*Gk", "aGk\0", "ä", "data:text/plain;base64,aGk=", "aGk=="]
)
def test_garbage_is_refused_with_its_path(text: str) -> None:
    _, problems = checked(a_file(), a_file(), a_file(content=text))
    assert problems == {"$.attachments[2].content": "is not base64"}


def test_an_empty_file_is_a_file() -> None:
    made, problems = checked(a_file(content=""))
    assert not problems
    assert [file.data for file in made.attachments if isinstance(file, attachments.File)] == [b""]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", " ", "a/b.txt", "/etc/passwd", "..\\a", "C:\\a.txt", "a\r\nX: y", "a\nb", "a\0b", "a\u2028b", "a\x85b",
     "a\tb", "a\x1bb", "a\u202etxt.exe", "\ufeff", "ž" * 128],
)  # fmt: skip
def test_a_filename_is_a_name_on_one_line(name: str) -> None:
    _, problems = checked(a_file(filename=name))
    assert list(problems) == ["$.attachments[0].filename"]


@pytest.mark.parametrize(
    "name", ["ž-naïve.txt", "a b.txt", ".bashrc", 'q"uo"te.txt', "%2e%2e", "файл", "a" * 255, "😀.png"]
)
def test_other_names_are_kept_as_they_are(name: str) -> None:
    made, problems = checked(a_file(filename=name))
    assert not problems
    assert made.attachments[0] == attachments.File(
        attachments.About(name, attachments.guessed(name), None, "attachment"), b"hi"
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("image/PNG", "image/png"),
        ("text/csv; charset=utf-8", "text/csv; charset=utf-8"),
        ('text/calendar;method=REQUEST; charset="utf-8"', 'text/calendar; method=REQUEST; charset="utf-8"'),
        ('application/pdf; name="other.exe"', "application/pdf"),
        ("application/x-7z-compressed", "application/x-7z-compressed"),
    ],
)
def test_a_media_type_is_kept_in_one_spelling(given: str, kept: str) -> None:
    made, problems = checked(a_file(content_type=given))
    assert not problems
    file = made.attachments[0]
    assert isinstance(file, attachments.File)
    assert file.about.content_type == kept


@pytest.mark.parametrize(
    "kind",
    ["", "text", "text/", "message/rfc822", "multipart/mixed; boundary=x", "x-y/z", "text/plain\r\nX: y", "text/plain;",
     "text/plain; a", 'text/plain; a="b', "text/plain; a=b c", "text/plain; a=\u00e4", "text/" + "x" * 300],
)  # fmt: skip
def test_another_media_type_is_refused(kind: str) -> None:
    _, problems = checked(a_file(content_type=kind))
    assert list(problems) == ["$.attachments[0].content_type"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.PDF", "application/pdf"), ("a.docx", attachments.guessed("b.docx")), ("a.tar.gz", "application/gzip"),
     ("a.eml", "application/octet-stream"), ("none", "application/octet-stream"), ("a.", "application/octet-stream")],
)  # fmt: skip
def test_without_a_media_type_the_name_tells(name: str, kind: str) -> None:
    assert attachments.guessed(name) == kind
    assert "wordprocessing" in attachments.guessed("b.docx")


@pytest.mark.parametrize("content_id", ["", "<>", "a b", "a<b", "a\r\nb", "ä", "x" * 251, "a\u2028"])
def test_a_content_id_is_fit_for_its_header(content_id: str) -> None:
    _, problems = checked(a_file(content_id=content_id))
    assert list(problems) == ["$.attachments[0].content_id"]


def test_a_file_with_a_content_id_is_inline_unless_it_says_otherwise() -> None:
    made, problems = checked(
        a_file(content_id="<logo@x>"),
        a_file(content_id="b", disposition="attachment"),
        a_file(disposition="inline"),
        a_file(),
    )
    assert not problems
    about = [file.about for file in made.attachments if isinstance(file, attachments.File)]
    assert [(one.content_id, one.disposition) for one in about] == [
        ("logo@x", "inline"), ("b", "attachment"), (None, "inline"), (None, "attachment"),
    ]  # fmt: skip


def test_two_files_have_not_one_content_id() -> None:
    _, problems = checked(a_file(content_id="a"), a_file(content_id="b"), a_file(content_id="<a>"))
    assert list(problems) == ["$.attachments[2].content_id"]


def test_every_problem_of_every_file_is_told() -> None:
    _, problems = checked(
        {"filename": 1, "content": "aGk=", "color": "red"},
        "text",
        {"content": "aGk="},
        a_file(disposition="both"),
    )
    assert set(problems) == {
        "$.attachments[0].filename",
        "$.attachments[0].color",
        "$.attachments[1]",
        "$.attachments[2].filename",
        "$.attachments[3].disposition",
    }
    _, problems = checked(a_file(filename="a/b", content="*", content_type="message/rfc822", content_id=""))
    assert set(problems) == {
        f"$.attachments[0].{name}" for name in ("filename", "content", "content_type", "content_id")
    }


def test_what_is_no_list_is_said_to_be_none() -> None:
    send, problems = fields.read(GOOD | {"attachments": {"filename": "a"}})
    assert problems == [Problem("$.attachments", "must be an array, not an object")]
    assert send.attachments is None


def test_an_eleventh_file_is_too_much() -> None:
    with pytest.raises(ApiError) as refused:
        checked(*[a_file()] * 11)
    assert refused.value.status == 413
    assert not checked(*[a_file()] * 10)[1]
