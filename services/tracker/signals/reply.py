"""Replies: a person answered, or a machine did (RFC 3834). A machine's answer moves no status, and gets none."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from services.tracker import mime, quoting, returned, rfc3834
from services.tracker.evidence import Case, Said
from shared.events import signal

RANK: Final = 1000  # whatever is nothing else may be a reply

_ID: Final = re.compile(r"<[^<>\s]{3,500}>")
_MAX_SUBJECT: Final = 500


class Telling(msgspec.Struct, frozen=True):
    """A message to us that refers to one of ours."""

    from_address: str
    subject: str
    text: str
    message_id: str
    message_ids: Sequence[str]
    automatic: str | None
    kind: str = "reply"
    envid: str = ""

    def said(self, case: Case) -> list[Said]:
        """Return the reply. Who answers need not be who was written to: people forward, and have aliases."""
        if case.is_by_sender(self.from_address):
            return []  # the sender writes once more, and a copy of it came to us
        event = signal.Replied(
            occurred_at=case.at,
            recipient=case.recipient(self.from_address) or case.only_recipient(),
            raw_key=case.raw_key,
            from_address=self.from_address,
            subject=self.subject,
            snippet=quoting.snippet(self.text) or None,
            message_id=self.message_id or None,
        )
        return [Said(event if self.automatic is None else _automatic(event, self.automatic))]


def recognise(message: mime.Part) -> Telling:
    """Return the message as an answer; whatever is no report of any kind may be one."""
    sender = (
        returned.addresses(message.field("from")) or returned.addresses(message.field("reply-to")) or [""]
    )[0]
    referred = _ID.findall(message.field("in-reply-to")) + _ID.findall(message.field("references"))[::-1]
    return Telling(
        from_address=sender,
        subject=message.field("subject")[:_MAX_SUBJECT],
        text=_text(message),
        message_id=message.field("message-id").strip()[:_MAX_SUBJECT],
        message_ids=tuple(dict.fromkeys(referred)),
        automatic=rfc3834.reason(message),
    )


def _text(message: mime.Part) -> str:
    """Return what is written in the message itself: its first plain text that says anything, else its HTML."""
    html = ""
    parts = [message]
    while parts:
        part = parts.pop(0)
        if part.kind.startswith("multipart/") and part.parts:
            parts = [*part.parts, *parts]
        elif part.field("content-disposition").lower().startswith("attachment"):
            continue
        elif part.kind == "text/plain" and (text := part.text()).strip():
            return text
        elif part.kind == "text/html":
            html = html or part.text()
    return returned.from_html(quoting.own_html(html)) if html else ""


def _automatic(reply: signal.Replied, reason: str) -> signal.AutoReplied:
    return signal.AutoReplied(
        occurred_at=reply.occurred_at,
        recipient=reply.recipient,
        raw_key=reply.raw_key,
        from_address=reply.from_address,
        subject=reply.subject,
        reason=reason,
    )
