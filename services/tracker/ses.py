"""Amazon SES notifications that come as mail (SNS email subscriptions): JSON in a text, read into RFC 3464's words.

What is missing or of another type than documented counts as not said.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from services.tracker import mime, rfc3464

_DECODER: Final = json.JSONDecoder(strict=False)
_MAX_RECIPIENTS: Final = 100
# What a notification calls itself, the object that holds it, its list of recipients, and RFC 3464's action.
_KINDS: Final = {
    "bounce": ("bounce", "bouncedRecipients", "failed"),
    "complaint": ("complaint", "complainedRecipients", ""),
    "delivery": ("delivery", "recipients", "delivered"),
    "deliverydelay": ("deliveryDelay", "delayedRecipients", "delayed"),
}


class Notification(msgspec.Struct, frozen=True):
    """One notification: a delivery status, or whom a complaint came from (then `status` has no recipients).

    `mail_from` is the envelope sender that SES was given.
    """

    status: rfc3464.Status
    complained: tuple[str, ...] = ()
    feedback_type: str = ""
    message_ids: tuple[str, ...] = ()
    mail_from: str = ""


def find(message: mime.Part) -> Notification | None:
    """Return the notification in the message's text, or None when it is none. Never raises."""
    for part in message.walk():
        if part.kind in ("text/plain", "application/json") and part.raw.lstrip()[:1] == b"{":
            said = _object(part.text())
            inner = said.get("Message")
            found = _notification(_object(inner) if isinstance(inner, str) else said)
            if found is not None:
                return found
    return None


def _object(text: str) -> dict[str, Any]:
    try:
        value, _ = _DECODER.raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _notification(said: Mapping[str, Any]) -> Notification | None:
    kind = _text(said, "notificationType") or _text(said, "eventType")
    holder, listed, action = _KINDS.get(kind.lower().replace(" ", ""), ("", "", ""))
    told = said.get(holder)
    if not isinstance(told, dict):
        return None
    recipients = tuple(_recipients(told, listed, action))
    status = rfc3464.Status("", rfc3464.after_type(_text(told, "reportingMTA")), recipients if action else ())
    complained = () if action else tuple(one.final for one in recipients)
    sent = said.get("mail")
    mail = sent if isinstance(sent, dict) else {}
    return Notification(
        status,
        complained,
        _text(told, "complaintFeedbackType") or "abuse",
        tuple(_message_ids(mail)),
        _text(mail, "source"),
    )


def _recipients(told: Mapping[str, Any], listed: str, action: str) -> Iterator[rfc3464.Recipient]:
    given = told.get(listed)
    for one in given[:_MAX_RECIPIENTS] if isinstance(given, list) else ():
        fields = one if isinstance(one, dict) else {"emailAddress": one}
        address = rfc3464.address(_text(fields, "emailAddress"))
        if "@" in address:
            diagnostic = rfc3464.after_type(_text(fields, "diagnosticCode") or _text(told, "smtpResponse"))
            said = _text(fields, "action").lower()
            yield rfc3464.Recipient(
                final=address,
                original=address,
                action=said if said in rfc3464.ACTIONS else action,
                status=_text(fields, "status"),
                diagnostic=diagnostic,
                remote_mta="",
            )


def _message_ids(mail: Mapping[str, Any]) -> Iterator[str]:
    headers = mail.get("headers")
    for one in headers[:500] if isinstance(headers, list) else ():
        if isinstance(one, dict) and _text(one, "name").lower() == "message-id":
            yield _text(one, "value").strip()
    common = mail.get("commonHeaders")
    if isinstance(common, dict) and _text(common, "messageId"):
        yield _text(common, "messageId")


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value[:4000] if isinstance(value, str) else ""
