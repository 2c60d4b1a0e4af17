"""The envelope and the message made ready: pure bytes in, pure bytes out."""

import re

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher import envelope
from services.dispatcher.envelope import Envelope, Extensions, commands, pieces, stuffed, xtext
from shared.runtime.message import Message

BYTES = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n.\r\n", b"bc" * 7]), max_size=40
).map(b"".join)


def as_stored(sent: bytes) -> bytes:
    """Return what a server makes of what follows DATA."""
    assert b"\r\n.\r\n" not in b"\r\n" + sent
    return b"".join(line[1:] if line.startswith(b".") else line for line in sent.splitlines(keepends=True))


def normal(message: bytes) -> bytes:
    message = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    return message if message.endswith(b"\r\n") else message + b"\r\n"


@given(BYTES)
def test_what_the_server_stores_is_the_message_with_crlf(message: bytes) -> None:
    assert as_stored(stuffed(message)) == normal(message)


@given(BYTES, st.integers(1, 50))
def test_pieces_are_the_whole_message_wherever_it_is_cut(message: bytes, size: int) -> None:
    whole, envelope.CHUNK = envelope.CHUNK, size
    try:
        assert b"".join(pieces(message)) == stuffed(message)
    finally:
        envelope.CHUNK = whole


def test_a_large_message_is_cut_into_pieces() -> None:
    message = b"a line of text\r\n" * 20_000
    cut = list(pieces(message))
    assert len(cut) == 5
    assert b"".join(cut) == message


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_xtext_is_printable_ascii_and_reads_back(text: str) -> None:
    encoded = xtext(text)
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", encoded)
    decoded = re.sub(rb"\+([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), encoded.encode())
    assert decoded.decode() == text


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_address_makes_more_than_one_command(sender: str, recipient: str) -> None:
    offered = Extensions(pipelining=True, smtputf8=True, dsn=True, size_offered=True, eightbit=True)
    try:
        spoken = commands(
            Envelope(mail_from=sender, recipients=[recipient], message=Message(b"x"), envid=recipient),
            offered,
        )
    except envelope.Refused:
        return
    for command in spoken:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", command)
        assert command.count("<") == command.count(">") == 1
        command.encode()


def test_extensions_are_read_in_any_case_and_the_old_style() -> None:
    offered = Extensions.parse(
        "mta.test greets\npipelining\nSize 1000\n8bitmime\nAUTH=LOGIN\nAUTH PLAIN XOAUTH2\nDSN\nSMTPUTF8\nSTARTTLS"
    )
    assert offered == Extensions(
        pipelining=True, eightbit=True, smtputf8=True, dsn=True, starttls=True, size_offered=True, size=1000,
        auth=("login", "plain", "xoauth2"),
    )  # fmt: skip
    assert Extensions.parse("PIPELINING") == Extensions()  # the first line is a greeting
