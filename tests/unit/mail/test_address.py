import re

import email_validator
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.mail import address, header
from shared.mail.address import AddressError, Mailbox

_LABEL = st.from_regex(r"[A-Za-z0-9-]{1,10}", fullmatch=True) | st.sampled_from(
    ["xn--mnchen-3ya", "xn--", "a--b", "test"]
)
_DOMAIN = st.lists(
    _LABEL | st.sampled_from(["münchen", "例え", "a" * 63, "a" * 64]), min_size=1, max_size=5
).map(".".join)
_LOCAL = st.from_regex(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,66}", fullmatch=True) | st.text(
    min_size=1, max_size=10
)
_ADDRESS = st.builds(lambda local, domain: f"{local}@{domain}", _LOCAL, _DOMAIN)
_MARKS = st.sampled_from([*'@<>"\\,;()[]. \t\r\n\0', "\x85", "\u2028", "a@b.test", "x"])
_ANYTHING = st.text(max_size=40) | st.lists(_MARKS, max_size=30).map("".join)


@pytest.mark.parametrize(
    ("value", "mailbox"),
    [
        ("user@example.com", Mailbox("user@example.com")),
        ("  user@example.com\t", Mailbox("user@example.com")),
        ("User.Name+tag@Mail.Example.COM", Mailbox("User.Name+tag@Mail.Example.COM")),
        ("x@world.test", Mailbox("x@world.test")),
        ("root@localhost", Mailbox("root@localhost")),
        ("x@mail.local", Mailbox("x@mail.local")),
        ("<user@example.com>", Mailbox("user@example.com")),
        ("Jane Doe <jane@example.com>", Mailbox("jane@example.com", "Jane Doe")),
        ('"Doe, Jane (Sales)" <jane@example.com>', Mailbox("jane@example.com", "Doe, Jane (Sales)")),
        (
            '"a \\"b\\" \\\\ <c@d.test>" <jane@example.com>',
            Mailbox("jane@example.com", 'a "b" \\ <c@d.test>'),
        ),
        ("Jürgen Groß 🎉<j@example.com>", Mailbox("j@example.com", "Jürgen Groß 🎉")),
        ("J. O'Hara: Team <j@example.com>", Mailbox("j@example.com", "J. O'Hara: Team")),
        ("x@münchen.de", Mailbox("x@münchen.de")),
        ("用户@例え.テスト", Mailbox("用户@例え.テスト")),
        ("u\u0308ser@world.test", Mailbox("üser@world.test")),
        ("x@xn--mnchen-3ya.de", Mailbox("x@xn--mnchen-3ya.de")),
    ],
)
def test_one_mailbox_is_read(value: str, mailbox: Mailbox) -> None:
    assert address.parse(value) == mailbox


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "no address"),
        ("<>", "no address"),
        ("user", "no @"),
        ("@example.com", "before the @"),
        ("user@", "after the @"),
        ("a@x.test, b@x.test", "array"),
        ("a@x.test; b@x.test", "array"),
        ("a@x.test b@x.test", "array"),
        ("A <a@x.test>, B <b@x.test>", "double quotes"),
        ("Team: a@x.test, b@x.test;", "array"),
        ("Doe, Jane <a@x.test>", "double quotes"),
        ("Jane (Sales) <a@x.test>", "double quotes"),
        ('"Jane" Doe <a@x.test>', "double quotes"),
        ('"Jane <a@x.test>', "double quotes"),
        ("a@x.test (Jane)", "comment"),
        ("(Jane)a@x.test", "comment"),
        ("<@hop.test:a@x.test>", "source route"),
        ("a@x.test>", "'<'"),
        ("Jane <a@x.test", "'>'"),
        ('"a b"@x.test', "quoted part"),
        ("a@[127.0.0.1]", "bracketed IP"),
        ("a@x", "period"),
        ("a@x.test.", "period"),
        ("a..b@x.test", "periods"),
        ("a@-x.test", "hyphen"),
        ("a@x_y.test", "invalid characters"),
        ("a@127.0.0.1", "top-level"),
        ("a@xn--zzzzzz.de", "IDNA"),
        ("a" * 65 + "@x.test", "too long"),
        ("ü" * 33 + "@x.test", "64 bytes"),
        ("a@" + "b" * 64 + ".test", "separated"),
        ("a@" + "b." * 126 + "test", "too long"),
        ("N" * 257 + " <a@x.test>", "256"),
        ("a" * 100_000, "longer than"),
        ("a@x.test\r\nBcc: b@x.test", "carriage return"),
        ("a@x.test\nBcc: b@x.test", "line feed"),
        ("Jane\0 <a@x.test>", "NUL"),
        ("Jane\u2028 <a@x.test>", "U+2028"),
        ("Jane\u2029 <a@x.test>", "U+2029"),
        ("Jane\x85 <a@x.test>", "U+0085"),
        ("Jane\ud800 <a@x.test>", "U+D800"),
        ("a\u202eb@x.test", "unsafe"),
    ],
)
def test_what_is_not_one_mailbox_is_refused_with_what_to_change(value: str, problem: str) -> None:
    with pytest.raises(AddressError, match=re.escape(problem)):
        address.parse(value)


@settings(max_examples=500, deadline=None)
@given(_ADDRESS)
@example("a@a.test--")
@example("a@" + ".".join(["b" * 63] * 3) + "." + "c" * 59)
@example("a" * 64 + "@" + "b" * 63 + "." + "c" * 63 + "." + "d" * 62)
def test_nothing_is_accepted_that_email_validator_refuses(value: str) -> None:
    try:
        accepted = address.parse(value).address
    except AddressError:
        return
    email_validator.validate_email(
        accepted, check_deliverability=False, globally_deliverable=False, strict=True
    )


@settings(max_examples=500, deadline=None)
@given(_ADDRESS | _ANYTHING)
def test_what_is_accepted_is_safe_in_a_header_and_in_a_command(value: str) -> None:
    try:
        mailbox = address.parse(value)
    except AddressError:
        return
    wire = address.to_ascii_domain(mailbox.address)
    local, _, domain = wire.rpartition("@")
    assert header.check_value(mailbox.name) is None
    assert not set(wire) & set(' \t<>()",;:\\[]')
    assert wire.isprintable()
    assert wire.count("@") == 1
    assert domain.isascii()
    assert len(domain) <= 253
    assert len(local.encode()) <= 64
    assert address.needs_smtputf8(mailbox.address) == (not local.isascii())
    assert address.parse(mailbox.address).address == mailbox.address
    assert address.parse(wire).address == wire


@settings(max_examples=500, deadline=None)
@given(_ADDRESS)
@example("İ@x.test")
@example("ΣΑΣ@x.test")
def test_normalising_twice_is_normalising_once(value: str) -> None:
    try:
        once = address.normalised(address.parse(value).address)
    except AddressError:
        return
    assert address.normalised(once) == once


def test_one_mailbox_in_many_spellings_is_one() -> None:
    spellings = ["Müller@MÜNCHEN.de", "mu\u0308ller@xn--mnchen-3ya.DE", "MÜLLER@Xn--Mnchen-3ya.de"]
    assert {address.normalised(address.parse(value).address) for value in spellings} == {
        "müller@xn--mnchen-3ya.de"
    }


def test_case_tells_no_mailboxes_apart() -> None:
    assert address.normalised("Jane.Doe@Example.COM") == "jane.doe@example.com"


def test_the_envelope_has_a_labels() -> None:
    assert address.to_ascii_domain("Jane@MÜNCHEN.de") == "Jane@xn--mnchen-3ya.de"
    assert address.to_ascii_domain("Jane@Example.COM") == "Jane@Example.COM"


def test_a_domain_that_is_none_is_an_address_error() -> None:
    with pytest.raises(AddressError):
        address.ascii_domain("ü" * 300)
