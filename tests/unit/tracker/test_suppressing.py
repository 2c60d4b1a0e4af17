"""What a report may suppress: whom a mail system itself says nobody has, and nobody on any weaker ground."""

from datetime import UTC, datetime
from typing import Final

import pytest

from services.tracker import inbound
from services.tracker.evidence import Case, Said
from shared.events import signal
from shared.mail import nonexistence
from tests.controls import emails

AT: Final = datetime(2026, 3, 3, 9, tzinfo=UTC)
ANN: Final = "ann@x.example"
GONE: Final = "550 5.1.1 user unknown"
DAEMON: Final = "MAILER-DAEMON@mx.example"
QMAIL: Final = (
    f"<{ANN}>:\n192.0.2.8 does not like recipient.\nRemote host said: {{}}\nGiving up on 192.0.2.8."
)


def _said(raw: str, *to: str) -> list[Said]:
    email = emails.an_email(*(to or (ANN,)))
    return inbound.read(raw.encode())[1].said(Case(email, "return path", AT, "ws/2026-03-03/in-1"))


def _group(final: str = ANN, original: str = "", diagnostic: str = GONE, *, more: str = "") -> str:
    fields = f"Final-Recipient: rfc822; {final}\n" if final else ""
    fields += f"Original-Recipient: rfc822; {original}\n" if original else ""
    return f"{fields}Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; {diagnostic}\n{more}"


def _dsn(*groups: str, author: str = DAEMON, words: str = "It could not be delivered.", end: str = "") -> str:
    told = "\n".join(groups or [_group()])
    return (
        f"From: {author}\nSubject: Undelivered Mail\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n"
        f"--r\n\n{words}\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n{told}\n{end}--r--\n"
    )


def _prose(line: str, author: str = DAEMON, end: str = "") -> str:
    return f"From: {author}\nSubject: failure notice\n\nIt could not be delivered:\n\n{line}\n{end}"


def _suppressed(raw: str, *to: str) -> list[str]:
    """Return who is suppressed; each test of a veto shows that the bounce is still said."""
    said = _said(raw, *to)
    assert any(isinstance(one.event, signal.Bounced) for one in said), "the bounce itself is no less true"
    return [one.suppress.email for one in said if one.suppress]


@pytest.mark.parametrize(
    "raw",
    [
        _dsn(), _dsn(_group('"ann"@x.example')), _dsn(_group(original=ANN)), _dsn(_group(more=f"X-Actual-Recipient: rfc822; {ANN}\n")),
        _dsn(_group(diagnostic="550 5.1.1 <ann@x.example>: Recipient address rejected: User unknown")),
        _dsn(_group(diagnostic="550 5.1.1 Recipient unknown, please check your e-mail address")),
        _dsn(_group(diagnostic="550 User unknown. Please check the recipient in your e-mail address field")),
        _dsn(_group(diagnostic="550 5.1.1 User unknown, please update your address list")),
        _dsn(words=">>> RCPT To:<ann@x.example>\n<<< 550 5.1.1 user unknown"), _prose("<ann@x.example>: 550 5.1.1 no such user"),
        _prose(QMAIL.format("550 5.1.1 no such user")), _prose(QMAIL.format("550 no such user")),
    ],
)  # fmt: skip
def test_whom_a_mail_system_names_and_says_nobody_has_is_suppressed(raw: str) -> None:
    assert _suppressed(raw) == [ANN]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(_dsn(_group("other@y.example", ANN)), id="named by its original alone"),
        pytest.param(_dsn(_group("", ANN)), id="no final recipient"),
        pytest.param(_dsn(author=f"Ann <{ANN}>"), id="said by the recipient"),
        pytest.param(_dsn(author='"ann"@x.example'), id="said by the recipient in quotes"),
        pytest.param(_dsn(_group(more="X-Actual-Recipient: rfc822; other@y.example\n")), id="handed on"),
        pytest.param(_dsn(words="<other@y.example> (generated from ann@x.example)"), id="generated"),
        pytest.param(_dsn(words="expanded from: <ann@x.example>"), id="expanded"),
        pytest.param(_dsn(words="The message was forwarded to its new address."), id="forwarded"),
        pytest.param(_dsn(words="ann@x.example is aliased to somebody"), id="aliased"),
        pytest.param(_dsn(words=">>> RCPT TO:<other@y.example>\n<<< 550 5.1.1 no"), id="asked for another"),
        pytest.param(_dsn(_group(diagnostic="550 5.1.1 <other@y.example> user unknown")), id="answered of another"),
        pytest.param(_dsn(_group(diagnostic="550 5.1.1 user unknown, or your IP is blocklisted")), id="a block"),
        pytest.param(_dsn(_group(diagnostic="550 5.1.1 user unknown: LDAP lookup failed")), id="a fault"),
        pytest.param(_prose("550 5.1.1 no such user", end=f"\n--- Original message ---\nTo: {ANN}\n"), id="filled in"),
        pytest.param(_prose("550 5.1.1 no such user"), id="names nobody"),
        pytest.param(_prose(QMAIL.format("550 5.1.1 host mx2 said: 550 5.1.1 no such user")), id="heard of another host"),
        pytest.param(_prose(QMAIL.format("550 5.1.1 user unknown, or your IP is blocklisted")), id="a block told to qmail"),
        pytest.param(_prose(QMAIL.format("550 5.1.1 no such user").replace("does not like recipient", "but sender was rejected")), id="the sender"),
    ],
)  # fmt: skip
def test_one_thing_that_speaks_against_it_suppresses_nobody(raw: str) -> None:
    assert _suppressed(raw) == []


def test_what_arrived_under_the_same_original_name_suppresses_nobody() -> None:
    arrived = f"Final-Recipient: rfc822; b@y.example\nOriginal-Recipient: rfc822; {ANN}\nAction: relayed\nStatus: 2.0.0\n"
    assert _suppressed(_dsn(_group(original=ANN), arrived)) == []
    assert _suppressed(_dsn(_group(original=ANN), arrived.replace(ANN, "bob@x.example"))) == [ANN]


def test_what_one_recipient_says_of_another_suppresses_nobody() -> None:
    assert _suppressed(_dsn(author="bob@x.example"), ANN, "bob@x.example") == []


@pytest.mark.parametrize("kind", ["message/rfc822", "message/global", "message/news"])
def test_a_report_inside_something_that_was_sent_suppresses_nobody(kind: str) -> None:
    outer = f"From: eve@y.example\nSubject: Fwd\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: {kind}\n\n"
    assert _suppressed(f"{outer}{_dsn()}\n--o--\n") == []


def test_words_suppress_only_where_there_is_one_they_can_mean() -> None:
    words = _prose("<ann@x.example>: 550 5.1.1 no such user")
    assert _suppressed(words) == [ANN]
    assert _suppressed(words, ANN, "bob@x.example") == []
    assert _suppressed(_dsn(), ANN, "bob@x.example") == [ANN]


def test_fields_in_the_words_of_a_stranger_suppress_nobody() -> None:
    fields = _prose(_group())
    assert _suppressed(fields) == [ANN]
    assert _suppressed(fields.replace(DAEMON, "gate@y.example")) == []


def test_whoever_answers_about_itself_has_not_bounced() -> None:
    for line in ("550 5.1.1 no such user", f"<{ANN}>: 550 5.1.1 no such user"):
        said = _said(_prose(line, ANN))
        assert not [one for one in said if isinstance(one.event, signal.Bounced) or one.suppress]


def test_what_a_receipt_gives_back_is_not_its_word() -> None:
    head = f"From: {ANN}\nContent-Type: multipart/report; report-type=disposition-notification; boundary=m\n\n--m\n"
    receipt = f"{head}Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; {ANN}\nDisposition: a/b; displayed\n\n"
    report = "--m\nContent-Type: message/rfc822\n\n{}\n--m--\n"
    assert [one.event.name for one in _said(receipt + report.format(_dsn()))] == ["read"]
    complaint = _dsn().replace("message/delivery-status", "message/feedback-report\n\nFeedback-Type: abuse")
    assert [one.event.name for one in _said(receipt + report.format(complaint))] == ["read"]


def test_a_report_gives_back_the_message_it_is_about_and_not_one_inside() -> None:
    inner = "Content-Type: multipart/mixed; boundary=i\nMessage-ID: <inner@x>\n\n--i\nContent-Type: text/rfc822-headers\n\nMessage-ID: <innermost@x>\n\n--i--\n"
    end = f"--r\nContent-Type: multipart/mixed; boundary=n\n\n--n\nContent-Type: message/rfc822\n\n{inner}\n--n--\n"
    assert inbound.read(_dsn(end=end).encode())[1].message_ids == ("<inner@x>",)


@pytest.mark.parametrize(
    "text", ["user unknown, your IP is blocked", "mailbox full", "5.1.1 unknown 4.2.2 later"]
)
def test_other_words_are_recognised_as_such(text: str) -> None:
    assert nonexistence.speaks_of_something_else(text)
    assert not nonexistence.speaks_of_something_else("550 5.1.1 <full@x.example> user unknown")


def test_a_receipt_inside_something_that_was_sent_is_no_receipt() -> None:
    inner = f"Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; {ANN}\nDisposition: a/b; displayed\n"
    outer = "From: eve@y.example\nSubject: Fwd\nContent-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n\n"
    assert [one.event.name for one in _said(f"{outer}{inner}\n--o--\n")] != ["read"]
