"""Complaints (RFC 5965), dispositions (RFC 8098) and notifications of Amazon SES."""

import json
from typing import Any

import pytest

from services.tracker import inbound, mime, rfc5965, rfc8098, ses
from services.tracker.signals import complaint, dsn, mdn


def _part(kind: str, fields: str) -> mime.Part:
    return mime.read(
        f"Content-Type: multipart/report; boundary=r\n\n--r\nContent-Type: {kind}\n\n{fields}\n--r--\n".encode()
    )


@pytest.mark.parametrize(
    ("fields", "kind", "recipients", "complains"),
    [
        ("Feedback-Type: abuse\nOriginal-Rcpt-To: <a@x.example>", "abuse", ("a@x.example",), True),
        (
            "Feedback-Type: abuse\nOriginal-Rcpt-To: a@x.example\nOriginal-Rcpt-To: b@x.example",
            "abuse",
            ("a@x.example", "b@x.example"),
            True,
        ),
        ("Feedback-Type: Opt-Out\nRemoval-Recipient: a@x.example", "opt-out", ("a@x.example",), True),
        ("Feedback-Type: fraud", "fraud", (), False),
        ("Feedback-Type: virus\nOriginal-Rcpt-To: a@x.example", "virus", ("a@x.example",), False),
        ("Feedback-Type: other\nOriginal-Rcpt-To: a@x.example", "other", ("a@x.example",), False),
        ("Feedback-Type: not-spam\nOriginal-Rcpt-To: a@x.example", "not-spam", ("a@x.example",), False),
        ("Feedback-Type: auth-failure\nAuth-Failure: dmarc", "auth-failure", (), False),
        ("Original-Rcpt-To: Undisclosed <a@x.example>", "abuse", ("a@x.example",), True),
        ("Original-Rcpt-To: redacted", "abuse", (), True),
    ],
)
def test_a_feedback_report_says_who_complains_or_that_nobody_does(
    fields: str, kind: str, recipients: tuple[str, ...], complains: bool
) -> None:
    assert rfc5965.find(_part("message/feedback-report", fields)) == rfc5965.Complaint(
        kind, recipients, complains
    )


def test_outlook_com_names_the_recipient_in_what_it_sends_back() -> None:
    raw = b"From: staff@hotmail.com\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: <a@hotmail.com>\n\nx"
    assert rfc5965.find(mime.read(raw)) == rfc5965.Complaint("abuse", ("a@hotmail.com",), True)
    assert rfc5965.find(mime.read(raw.replace(b"staff@hotmail.com", b"eve@x.example"))) is None


@pytest.mark.parametrize(
    ("disposition", "kind"),
    [
        ("automatic-action / MDN-sent-automatically ; displayed", "displayed"), ("displayed", "displayed"),
        ("manual-action/MDN-sent-manually; displayed", "displayed"), ("automatic-action/MDN-sent-automatically;displayed/error", "displayed"),
        ("Manual-Action/mdn-sent-manually; Deleted", "deleted"), ("manual-action/MDN-sent-manually; denied", "denied"),
        ("automatic-action/MDN-sent-automatically; dispatched", "dispatched"), ("nonsense", ""), ("", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "part", ["message/disposition-notification", "message/global-disposition-notification"]
)
def test_a_disposition_is_what_the_client_did(part: str, disposition: str, kind: str) -> None:
    fields = f"Final-Recipient: rfc822; a@x.example\nOriginal-Message-ID: <m@x>\nDisposition: {disposition}"
    found = rfc8098.find(_part(part, fields))
    assert found == rfc8098.Disposition(kind, "a@x.example", "<m@x>")
    telling = mdn.recognise(_part(part, fields))
    assert telling is not None
    assert telling.message_ids[0] == "<m@x>"


def _notification(body: dict[str, Any], *, wrapped: bool = False) -> bytes:
    text = json.dumps({"Type": "Notification", "Message": json.dumps(body)} if wrapped else body)
    return f"From: no-reply@sns.amazonaws.com\n\n{text}\n\n--\nIf you wish to stop receiving notifications\n".encode()


MAIL = {"commonHeaders": {"messageId": "<m@x>"}, "headers": [{"name": "Message-ID", "value": "<h@x>"}]}


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_ses_bounce_is_a_delivery_report(wrapped: bool) -> None:
    told = {
        "emailAddress": "a@x.example",
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1 user unknown",
    }
    body = {
        "notificationType": "Bounce",
        "bounce": {"bouncedRecipients": [told], "reportingMTA": "dsn; a1"},
        "mail": MAIL,
    }
    _, telling = inbound.read(_notification(body, wrapped=wrapped))
    assert isinstance(telling, dsn.Telling)
    [finding] = telling.report.findings
    assert (finding.original, finding.verdict.kind, finding.verdict.code) == ("a@x.example", "hard", "5.1.1")
    assert telling.message_ids == ("<h@x>", "<m@x>")


def test_ses_tells_delivery_delay_and_complaint() -> None:
    delivered = {
        "eventType": "Delivery",
        "delivery": {"recipients": ["a@x.example"], "smtpResponse": "250 ok"},
    }
    delayed = {
        "eventType": "DeliveryDelay",
        "deliveryDelay": {"delayedRecipients": [{"emailAddress": "a@x.example", "status": "4.4.1"}]},
    }
    complained = {
        "notificationType": "Complaint",
        "complaint": {"complainedRecipients": [{"emailAddress": "a@x.example"}]},
    }
    kinds = []
    for body in (delivered, delayed):
        _, telling = inbound.read(_notification(body))
        assert isinstance(telling, dsn.Telling)
        kinds.append(telling.report.findings[0].verdict.kind)
    assert kinds == ["delivered", "delayed"]
    _, telling = inbound.read(_notification(complained))
    assert isinstance(telling, complaint.Telling)
    assert telling.complaint == rfc5965.Complaint("abuse", ("a@x.example",), True)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"notificationType": "Bounce"}, {"notificationType": "Bounce", "bounce": []}, {"notificationType": 5}, {"notificationType": "Received"},
        {"Message": "{"}, {"Message": "[1]"}, {"Message": {}},
    ],
)  # fmt: skip
def test_other_json_is_no_notification(body: dict[str, Any]) -> None:
    assert ses.find(mime.read(_notification(body))) is None


def test_what_is_of_another_type_than_documented_is_not_said() -> None:
    body = {"notificationType": "Bounce", "bounce": {"bouncedRecipients": [5, None, {"emailAddress": 5}, {"emailAddress": "a@x.example", "status": []}]},
            "mail": {"headers": [1, {"name": 2}], "commonHeaders": []}}  # fmt: skip
    found = ses.find(mime.read(_notification(body)))
    assert found is not None
    assert [one.final for one in found.status.recipients] == ["a@x.example"]
    assert found.message_ids == ()
