"""Our DKIM signatures, held against dkimpy: another's code, written from the same RFCs, verifies every one."""

import functools
import hashlib
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail import composing, dkim
from shared.mail.address import Mailbox
from tests.controls import dkim_reader

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DOMAIN = "example.com"
HEADER = (
    b"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nFrom: a@example.com\r\nTo: b@example.net\r\nSubject: s\r\n"
)
ALGORITHMS: tuple[dkim.Algorithm, ...] = ("rsa", "ed25519")


@functools.cache
def private(algorithm: dkim.Algorithm) -> dkim.PrivateKey:
    return dkim.new_private_key(algorithm)


def signer(algorithms: Sequence[dkim.Algorithm] = ALGORITHMS) -> dkim.Signer:
    return dkim.Signer(DOMAIN, [dkim.Key(private(one), one) for one in algorithms])


def dns(name: str) -> str:
    selector: dkim.Algorithm = "rsa" if name.startswith("rsa.") else "ed25519"
    assert name == dkim.record_name(selector, DOMAIN)
    return dkim.record_value(selector, dkim.public_part(private(selector)))


def signed(header: bytes, body: bytes, cuts: Sequence[int] = (), by: dkim.Signer | None = None) -> bytes:
    hashed = dkim.BodyHash()
    ends = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(ends):
        hashed.update(body[start:end])
    by = by or signer()
    fields = by.fields(header, hashed.digest(), AT)
    assert by.size(header, AT) == sum(map(len, fields))
    return b"".join(fields) + header + b"\r\n" + body


def verifies(message: bytes, count: int = 2) -> bool:
    found = dkim_reader.verdicts(message, dns)
    assert len(found) == count
    assert len(set(found)) == 1, "one signature verifies and the other does not"
    return found[0]


LINES = st.lists(
    st.text(alphabet=st.sampled_from("ab\t .=\u00e9\u4e2d"), max_size=12)
    | st.sampled_from(["", "", " ", "\t", "x" * 998, "a  \t b ", "."]),
    max_size=12,
)


@given(lines=LINES, cuts=st.lists(st.integers(0, 4000), max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_body_in_any_pieces_verifies(lines: list[str], cuts: list[int]) -> None:
    body = b"".join(line.encode() + b"\r\n" for line in lines)
    assert verifies(signed(HEADER, body, cuts, signer(["ed25519"])), 1)


@given(body=st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n"])).map(b"".join), cut=st.integers(0, 99))
@settings(max_examples=500, deadline=None)
def test_a_body_is_hashed_as_dkimpy_hashes_it(body: bytes, cut: int) -> None:
    body += b"\r\n" if body else b""
    ours = dkim.BodyHash()
    ours.update(body[: cut % (len(body) + 1)])
    ours.update(body[cut % (len(body) + 1) :])
    canonical = dkim_reader.relaxed_body(body)
    assert ours.digest() == hashlib.sha256(canonical).digest()


@pytest.mark.parametrize("algorithms", [["rsa"], ["ed25519"], ["rsa", "ed25519"]])
def test_each_key_adds_a_field_that_verifies(algorithms: list[dkim.Algorithm]) -> None:
    message = signed(HEADER, b"text\r\n", by=signer(algorithms))
    assert message.count(b"DKIM-Signature:") == len(algorithms)
    assert verifies(message, len(algorithms))


@given(
    value=st.lists(
        st.text(alphabet="abc \t:;<>\u00e9", min_size=1).filter(str.strip), min_size=1, max_size=5
    ),
    space=st.sampled_from(["", " ", "  ", "\t"]),
)
@settings(max_examples=150, deadline=None)
def test_a_header_folded_anyhow_verifies(value: list[str], space: str) -> None:
    subject = "\r\n\t".join(value).encode()
    header = HEADER.replace(b"Subject: s\r\n", b"SUBJECT:" + space.encode() + subject + b"\r\n")
    assert verifies(signed(header, b"text\r\n", by=signer(["ed25519"])), 1)


@given(
    name=st.text(max_size=40).filter(lambda text: "\x00" not in text),
    subject=st.text(max_size=200),
    text=st.text(),
)
@settings(max_examples=100, deadline=None)
def test_what_we_compose_verifies(name: str, subject: str, text: str) -> None:
    letter = composing.Letter(
        message_id="<1@example.com>",
        date=AT,
        from_address="a@example.com",
        from_name=name,
        to=(Mailbox("b@example.net", name),),
        subject=" ".join(subject.split()),
        html=f"<p>{text}</p>",
        text=text,
        boundary="b" * 24,
        extra=(("List-Unsubscribe", "<https://example.com/u/x>"),),
    )
    header, _, body = composing.compose(letter).partition(b"\r\n\r\n")
    assert verifies(signed(header + b"\r\n", body))


@pytest.mark.parametrize(
    "added",
    [b"From: c@example.org\r\n", b"Subject: other\r\n", b"Cc: d@example.org\r\n", b"Reply-To: e@example.org\r\n",
     b"To: f@example.org\r\n", b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"],
)  # fmt: skip
def test_a_field_added_on_the_way_breaks_the_signature(added: bytes) -> None:
    message = signed(HEADER, b"text\r\n")
    at = message.index(b"Date: ")
    assert verifies(message)
    assert not verifies(message[:at] + added + message[at:])
    assert not verifies(message.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n"))


@pytest.mark.parametrize("field", [b"List-Unsubscribe: <https://a/u/x>\r\n", b"References: <1@a>\r\n"])
def test_a_field_changed_on_the_way_breaks_the_signature(field: bytes) -> None:
    message = signed(HEADER + field, b"text\r\n")
    assert verifies(message)
    assert not verifies(message.replace(field, field.replace(b"a", b"b")))


def test_text_added_below_breaks_the_signature() -> None:
    message = signed(HEADER, b"text\r\n\r\n")
    assert verifies(message + b"\r\n\r\n"), "empty lines at the end do not count"
    assert not verifies(message + b"more\r\n")


def test_equal_messages_get_equal_fields() -> None:
    assert signed(HEADER, b"text\r\n") == signed(HEADER, b"text\r\n")


def test_no_line_of_a_field_is_longer_than_78_characters() -> None:
    long = dkim.Signer(
        "a-domain-with-quite-a-long-name.example.com", [dkim.Key(private("rsa"), "s202611r-0123ab")]
    )
    header = (
        HEADER
        + b"Cc: x@a\r\nReply-To: x@a\r\nMIME-Version: 1.0\r\nReferences: <1@a>\r\nMessage-ID: <1@a>\r\n"
    )
    for line in b"".join(long.fields(header, bytes(32), AT)).split(b"\r\n"):
        assert len(line) <= 78, line


def test_a_key_is_read_back_as_it_was_stored() -> None:
    for algorithm in ALGORITHMS:
        again = dkim.read(dkim.stored(private(algorithm)))
        assert dkim.public_part(again) == dkim.public_part(private(algorithm))


@pytest.mark.parametrize("text", ["", "!", "AAAA", "not base64 at all"])
def test_what_is_no_key_is_named_so(text: str) -> None:
    with pytest.raises(dkim.BadKey):
        dkim.read(text)
