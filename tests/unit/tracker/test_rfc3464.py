"""Delivery status fields, as standards and as reporters write them."""

import pytest

from services.tracker import mime, rfc3464

FIELDS = "Reporting-MTA: dns; mx.a.example\nOriginal-Envelope-Id: v1+2Babc\n\n"


def test_each_group_is_a_recipient() -> None:
    status = rfc3464.read(
        FIELDS
        + "Original-Recipient: rfc822;a@x.example\nFinal-Recipient: RFC822; <a@y.example>\nAction: Failed (really)\nStatus: 5.1.1 (no)\n"
        + "Diagnostic-Code: smtp; 550 5.1.1\n no; such\nRemote-MTA: dns; mx.y.example\n\nFinal-Recipient: b@x.example\nAction: delayed\n"
    )
    assert (status.envid, status.reporting_mta) == ("v1+abc", "mx.a.example")
    first, second = status.recipients
    assert first == rfc3464.Recipient(
        "a@y.example", "a@x.example", "failed", "5.1.1", "550 5.1.1 no; such", "mx.y.example"
    )
    assert (second.final, second.action, second.status) == ("b@x.example", "delayed", "")


def test_groups_without_an_empty_line_between_them_are_kept_apart() -> None:
    status = rfc3464.read("Final-Recipient: a@x\nAction: failed\nFinal-Recipient: b@x\nAction: delayed\n")
    assert [(one.final, one.action) for one in status.recipients] == [("a@x", "failed"), ("b@x", "delayed")]


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("rfc822; a@x.example", "a@x.example"), ("rfc822;<a@x.example>", "a@x.example"), ("a@x.example", "a@x.example"), ("RFC822 ; a+2Bb@x.example", "a+b@x.example"),
        ("utf-8; \\x{7528}\\x{6237}@x.example", "用户@x.example"), ("utf-8; jörg@x.example", "jörg@x.example"), ("utf-8; \\x{FFFFFF}@x", "\U0010ffff@x"),
        ("X400; /RFC-822=a(a)x.example/ADMD= /C=WW/", "a@x.example"), ("x400; C=US;A= ;DDA:RFC-822=a(a)x.example;", "a@x.example"),
        ("rfc822; Ann <a@x.example>", "a@x.example"), ("rfc822; RFC822;a@x.example", "a@x.example"), ("x-local; ann", "ann"), ("", ""), (";;;", ";;"),
    ],
)  # fmt: skip
def test_an_address_is_read_out_of_its_type(field: str, address: str) -> None:
    assert rfc3464.address(field) == address


def test_fields_in_a_text_are_read_quoted_or_not() -> None:
    text = "Hello, see:\n\n> Reporting-MTA: dns; mx\n>\n> Final-Recipient: rfc822; a@x.example\n> Action: failed\n> Status: 5.1.1\n"
    for words in (text, text.replace("> ", "").replace(">", "")):
        status = rfc3464.in_text(words)
        assert status is not None
        assert [(one.final, one.action, one.status) for one in status.recipients] == [
            ("a@x.example", "failed", "5.1.1")
        ]
    assert rfc3464.in_text("Final-Recipient: what does that mean?\n") is None
    assert rfc3464.in_text("nothing") is None


@pytest.mark.parametrize("kind", rfc3464.KINDS)
def test_a_part_is_found_wherever_it_is(kind: str) -> None:
    inner = f"Content-Type: multipart/report; boundary=r\n\n--r\nContent-Type: {kind}\n\n{FIELDS}Final-Recipient: a@x\nAction: failed\n--r--\n"
    raw = (
        f"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
    )
    found = rfc3464.find(mime.read(raw.encode()))
    assert found is not None
    assert found.recipients[0].final == "a@x"


def test_a_status_without_recipients_is_none() -> None:
    assert rfc3464.find(mime.read(f"Content-Type: message/delivery-status\n\n{FIELDS}".encode())) is None
