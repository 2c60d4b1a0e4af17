"""Whatever is composed, the stdlib parser reads back as it was written, and every line keeps the wire's rules."""

import email.header
import email.utils
import re

from hypothesis import example, given, settings

from shared.mail import address, composing
from tests.contract.composing import letters

_thorough = settings(max_examples=100, deadline=None)


def squeezed(text: str) -> str:
    """White space in a display name is only a gap (RFC 5322 3.2.3)."""
    return re.sub("[ \t]+", " ", text).strip()


def addressees(message: bytes, label: bytes) -> list[tuple[str, str]]:
    """Read with getaddresses: the new API of 3.11 puts a space between encoded-words of a name."""
    unfolded = letters.head(message).replace(b"\r\n ", b" ").split(b"\r\n")
    for line in unfolded:
        if line.startswith(label + b": "):
            pairs = email.utils.getaddresses([line[len(label) + 2 :].decode()])
            return [(squeezed(decoded(name)), spec) for name, spec in pairs]
    return []


def decoded(text: str) -> str:
    return str(email.header.make_header(email.header.decode_header(text)))


def as_written(mailboxes: list[address.Mailbox]) -> list[tuple[str, str]]:
    return [(squeezed(mailbox.name), address.to_ascii_domain(mailbox.address)) for mailbox in mailboxes]


@_thorough
@given(letters.HEADER_TEXT)
@example("=?utf-8?q?x?=")
@example(" leading and trailing ")
@example("a" * 998)
@example("\N{WAVING HAND SIGN}" * 250)
@example("word " * 150 + "end")
def test_a_subject_comes_back_as_it_was(subject: str) -> None:
    message = composing.compose(letters.letter(subject=subject))
    letters.assert_fit_for_the_wire(message)
    assert str(letters.read(message)["subject"]) == subject


@_thorough
@given(letters.HEADER_TEXT)
def test_a_custom_header_comes_back_as_it_was(value: str) -> None:
    message = composing.compose(
        letters.letter(headers=[("X-Custom", value)], extra=[("X-Sendlog-Id", value)])
    )
    letters.assert_fit_for_the_wire(message)
    assert str(letters.read(message)["x-custom"]) == value
    assert str(letters.read(message)["x-sendlog-id"]) == value


@_thorough
@given(letters.MAILBOXES, letters.MAILBOXES, letters.MAILBOXES, letters.NAME)
def test_addressees_come_back_as_they_were(
    to: list[address.Mailbox], cc: list[address.Mailbox], reply_to: list[address.Mailbox], from_name: str
) -> None:
    message = composing.compose(letters.letter(to=to, cc=cc, reply_to=reply_to, from_name=from_name))
    letters.assert_fit_for_the_wire(message)
    assert addressees(message, b"To") == as_written(to)
    assert addressees(message, b"Cc") == as_written(cc)
    assert addressees(message, b"Reply-To") == as_written(reply_to)
    assert addressees(message, b"From") == [(squeezed(from_name), letters.FROM)]


@_thorough
@given(letters.MAILBOXES)
def test_the_stdlib_counts_as_many_addressees_as_were_given(to: list[address.Mailbox]) -> None:
    header = letters.read(composing.compose(letters.letter(to=to)))["to"]
    assert len(header.addresses if header else ()) == len(to)
    assert header is None or not header.defects or composing.needs_smtputf8(letters.letter(to=to))


@_thorough
@given(letters.BODY, letters.BODY)
@example("From From 0", "\n.\nFrom x\r\n..\r")
def test_both_bodies_come_back_as_they_were(text: str, html: str) -> None:
    message = composing.compose(letters.letter(text=text, html=html))
    letters.assert_fit_for_the_wire(message)
    parts = list(letters.read(message).iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert [payload(part) for part in parts] == [letters.as_lines(text), letters.as_lines(html)]


@_thorough
@given(letters.BODY)
@example("From From 0")
@example("x" * 998 + "\n" + "y" * 999)
def test_a_single_body_comes_back_with_at_most_a_last_line_end_more(body: str) -> None:
    for field, content_type in (("text", "text/plain"), ("html", "text/html")):
        message = composing.compose(letters.letter(**{"text": None, field: body}))
        letters.assert_fit_for_the_wire(message)
        part = letters.read(message)
        assert part.get_content_type() == content_type
        assert payload(part) in (letters.as_lines(body), letters.as_lines(body) + "\r\n")


def payload(part: object) -> str:
    content = part.get_payload(decode=True)  # type: ignore[attr-defined]
    assert isinstance(content, bytes)
    return content.decode()


@_thorough
@given(letters.HEADER_TEXT, letters.MAILBOXES)
def test_a_header_line_over_78_is_one_that_cannot_be_folded(text: str, to: list[address.Mailbox]) -> None:
    message = composing.compose(letters.letter(subject=text, to=to, headers=[("X-Custom", text)]))
    for line in letters.head(message).split(b"\r\n"):
        token = re.sub(rb"^(?:[A-Za-z-]+: ?)?[ \t]*", b"", line)
        assert len(line.decode()) <= 78 or not re.search(rb"[ \t]", token), line
        assert b"=?" not in line or len(line.decode()) <= 76, line


@_thorough
@given(letters.HEADER_TEXT, letters.BODY, letters.MAILBOXES)
def test_equal_letters_give_equal_bytes(text: str, body: str, to: list[address.Mailbox]) -> None:
    def once() -> bytes:
        return composing.compose(letters.letter(subject=text, text=body, html=body, to=list(to)))

    assert once() == once()


@_thorough
@given(letters.BODY, letters.BODY)
def test_the_boundary_is_in_no_body(text: str, html: str) -> None:
    text, html = f"{text}\n--{letters.BOUNDARY}--\n", f"--{letters.BOUNDARY}\n{html}"
    parsed = letters.read(composing.compose(letters.letter(text=text, html=html)))
    assert [payload(part) for part in parsed.iter_parts()] == [letters.as_lines(text), letters.as_lines(html)]
