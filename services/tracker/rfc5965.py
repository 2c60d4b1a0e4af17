"""Abuse reports (RFC 5965, ARF): what a mailbox provider's "this is spam" button sends."""

from typing import Final

import msgspec

from services.tracker import mime, returned, rfc3464, ses

# What says that its recipient wants no more of it; fraud, virus and other are said by filters and brands as well.
_COMPLAINTS: Final = frozenset({"abuse", "opt-out", "opt-out-list"})


class Complaint(msgspec.Struct, frozen=True):
    """One report. `recipients` are the original ones where the provider did not hide them.

    `mail_from` is the envelope sender of the message complained of and `message_ids` are its own, where the report
    says so and sends nothing of the message back.
    """

    feedback_type: str
    recipients: tuple[str, ...]
    is_complaint: bool
    mail_from: str = ""
    message_ids: tuple[str, ...] = ()


def find(message: mime.Part) -> Complaint | None:
    """Return the report in the message, or None when it is none. Never raises."""
    for part in returned.outer_first(message):
        if part.kind == "message/feedback-report":
            fields = mime.fields_of(part.text())
            kind = next((value.strip().lower() for name, value in fields if name == "feedback-type"), "abuse")
            named = [
                rfc3464.address(value)
                for name, value in fields
                if name in ("original-rcpt-to", "removal-recipient")
            ]
            mail_from = next((value for name, value in fields if name == "original-mail-from"), "")
            return Complaint(
                kind[:40],
                tuple(one for one in named if "@" in one),
                kind in _COMPLAINTS,
                rfc3464.address(mail_from),
            )
    notification = ses.find(message)
    if notification is not None and notification.complained:
        kind = notification.feedback_type.lower()
        return Complaint(
            kind[:40],
            notification.complained,
            kind in _COMPLAINTS,
            rfc3464.address(notification.mail_from),
            notification.message_ids,
        )
    # Outlook.com's programme sends the message back with a field of its own instead of a report part.
    hidden = [value for part in message.walk() for value in part.all("x-hmxmroriginalrecipient")]
    if hidden and "staff@hotmail.com" in message.field("from").lower():
        return Complaint("abuse", (hidden[0].strip("<> "),), True)
    return None
