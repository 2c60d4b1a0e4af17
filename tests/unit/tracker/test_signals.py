"""What a message says of an email, once its handle is known; and what it may suppress."""

from datetime import UTC, datetime
from typing import Final

import pytest

from services.tracker import inbound
from services.tracker.addressing import Proof
from services.tracker.evidence import Case, Said
from shared.events import signal
from tests.controls import emails

AT: Final = datetime(2026, 3, 3, 9, tzinfo=UTC)


def _said(raw: str, *to: str, proof: Proof = "return path") -> list[Said]:
    email = emails.an_email(*(to or ("ann@x.example",)))
    return inbound.read(raw.encode())[1].said(Case(email, proof, AT, "ws/2026-03-03/in-1"))


def _dsn(
    action: str, status: str, final: str = "ann@x.example", original: str = "", diagnostic: str = ""
) -> str:
    fields = f"Final-Recipient: rfc822; {final}\nAction: {action}\nStatus: {status}\n"
    fields += f"Original-Recipient: rfc822; {original}\n" if original else ""
    fields += f"Diagnostic-Code: smtp; {diagnostic}\n" if diagnostic else ""
    return f"Content-Type: multipart/report; boundary=r\n\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n{fields}\n--r--\n"


class TestDeliveryReports:
    def test_a_hard_bounce_at_our_return_path_suppresses(self) -> None:
        [said] = _said(_dsn("failed", "5.1.1", diagnostic="550 5.1.1 user unknown"))
        assert isinstance(said.event, signal.Bounced)
        assert (said.event.recipient, said.event.kind, said.event.reporting_mta) == (
            "ann@x.example",
            "hard",
            "mx",
        )
        assert (said.event.reason.code, said.event.reason.enhanced_code) == ("550", "5.1.1")
        assert said.suppress is not None
        assert (said.suppress.email, said.suppress.reason) == ("ann@x.example", "bounce")

    def test_an_envelope_id_alone_suppresses_nobody(self) -> None:
        [said] = _said(_dsn("failed", "5.1.1"), proof="envid")
        assert said.suppress is None

    @pytest.mark.parametrize("action", ["failed", "delayed", "delivered"])
    def test_a_message_id_alone_suppresses_nobody(self, action: str) -> None:
        [said] = _said(_dsn(action, ""), proof="message id")
        assert said.suppress is None

    def test_a_soft_bounce_suppresses_nobody(self) -> None:
        [said] = _said(_dsn("failed", "5.2.2"))
        assert isinstance(said.event, signal.Bounced)
        assert (said.event.kind, said.suppress) == ("soft", None)

    def test_a_stranger_is_nobody_of_ours(self) -> None:
        assert _said(_dsn("failed", "5.1.1", final="eve@x.example")) == []

    def test_a_forwarded_address_is_known_by_the_original_one(self) -> None:
        [said] = _said(_dsn("failed", "5.1.1", final="elsewhere@y.example", original="Ann@X.example"))
        assert said.event.recipient == "ann@x.example"

    @pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
    def test_success_is_delivered_and_keeps_its_action(self, action: str) -> None:
        [said] = _said(_dsn(action, "2.0.0"))
        assert isinstance(said.event, signal.Delivered)
        assert said.event.action == action

    def test_a_delay_is_no_bounce(self) -> None:
        [said] = _said(_dsn("delayed", "4.4.1"))
        assert isinstance(said.event, signal.Delayed)
        assert said.event.reason.retryable

    def test_a_report_that_names_nobody_is_about_the_only_recipient(self) -> None:
        raw = "From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\nYour message could not be delivered.\n"
        assert [one.event.recipient for one in _said(raw)] == ["ann@x.example"]
        assert _said(raw, "ann@x.example", "bob@x.example") == []


class TestReceipts:
    RAW = (
        "Content-Type: multipart/report; boundary=r\n\n--r\nContent-Type: message/disposition-notification\n\n"
        "Final-Recipient: rfc822; {}\nOriginal-Message-ID: <m@x>\nDisposition: manual-action/MDN-sent-manually; {}\n\n--r--\n"
    )

    def test_displayed_is_read(self) -> None:
        [said] = _said(self.RAW.format("ann@x.example", "displayed"))
        assert isinstance(said.event, signal.Read)
        assert said.event.recipient == "ann@x.example"

    @pytest.mark.parametrize("kind", ["deleted", "denied", "dispatched", "processed", "failed", ""])
    def test_anything_else_is_not(self, kind: str) -> None:
        assert _said(self.RAW.format("ann@x.example", kind)) == []

    def test_a_stranger_has_read_nothing_of_ours(self) -> None:
        assert _said(self.RAW.format("eve@x.example", "displayed")) == []


class TestComplaints:
    RAW = "Content-Type: multipart/report; boundary=r\n\n--r\nContent-Type: message/feedback-report\n\nFeedback-Type: {}\n{}\n--r--\n"

    def test_who_complained_gets_no_more_mail(self) -> None:
        [said] = _said(self.RAW.format("abuse", "Original-Rcpt-To: ann@x.example\n"))
        assert isinstance(said.event, signal.Complained)
        assert said.suppress is not None
        assert (said.suppress.email, said.suppress.reason) == ("ann@x.example", "complaint")

    def test_one_that_hides_its_name_can_only_be_the_only_one(self) -> None:
        assert [one.event.recipient for one in _said(self.RAW.format("abuse", ""))] == ["ann@x.example"]
        assert _said(self.RAW.format("abuse", ""), "ann@x.example", "bob@x.example") == []

    @pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "dkim"])
    def test_what_is_no_complaint_says_nothing(self, kind: str) -> None:
        assert _said(self.RAW.format(kind, "Original-Rcpt-To: ann@x.example\n")) == []


class TestReplies:
    RAW = "From: Ann <ann@x.example>\nSubject: {}\nMessage-ID: <r@x>\nIn-Reply-To: <m@x>\n{}\nThanks!\n\n> Old\n"

    def test_a_person_replied(self) -> None:
        [said] = _said(self.RAW.format("Re: Order", ""))
        assert isinstance(said.event, signal.Replied)
        assert (said.event.recipient, said.event.snippet, said.event.message_id) == (
            "ann@x.example",
            "Thanks!",
            "<r@x>",
        )

    def test_a_machine_did_not(self) -> None:
        [said] = _said(self.RAW.format("Re: Order", "Auto-Submitted: auto-replied\n"))
        assert isinstance(said.event, signal.AutoReplied)
        assert (said.event.reason, said.suppress) == ("auto-submitted", None)

    def test_the_sender_who_writes_once_more_has_not_replied(self) -> None:
        raw = self.RAW.format("Re: Order", "").replace("ann@x.example", "Hello@Sendlog.test")
        assert _said(raw) == []
        [said] = _said(raw, "hello@sendlog.test")  # somebody writes to themselves
        assert isinstance(said.event, signal.Replied)

    def test_who_answers_need_not_be_who_was_written_to(self) -> None:
        [said] = _said(
            self.RAW.format("Re: Order", "").replace("ann@x", "secretary@x"), "ann@x.example", "bob@x.example"
        )
        assert isinstance(said.event, signal.Replied)
        assert (said.event.recipient, said.event.from_address) == (None, "secretary@x.example")
