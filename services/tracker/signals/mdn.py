"""Read receipts (RFC 8098): a mail client says that the email was displayed. Only `displayed` is reading."""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.tracker import mime, rfc8098
from services.tracker.evidence import Case, Said
from services.tracker.returned import addresses, header_of
from shared.events import signal

RANK: Final = 20


class Telling(msgspec.Struct, frozen=True):
    """A disposition notification."""

    disposition: rfc8098.Disposition
    returned: tuple[str, ...] = ()
    author: str = ""
    kind: str = "mdn"
    envid: str = ""

    @property
    def message_ids(self) -> Sequence[str]:
        """The Message-ID the notification names; that of the message that came back only where it names none."""
        # One that speaks of another message proves nothing about ours, whatever it carries along.
        named = self.disposition.original_message_id
        return (named,) if named else self.returned

    def said(self, case: Case) -> list[Said]:
        """Return that it was read, by a recipient the email had."""
        if self.disposition.kind != "displayed":
            return []
        named = self.disposition.final_recipient
        recipient = case.recipient(named) if named else case.only_recipient()
        if recipient is None:
            return []
        # Every recipient can read the Message-ID, so there only whoever writes has read.
        if case.proof == "message id" and not (named and self._is_by(case, recipient)):
            return []
        return [Said(signal.Read(occurred_at=case.at, recipient=recipient, raw_key=case.raw_key))]

    def _is_by(self, case: Case, recipient: str) -> bool:
        return bool(self.author) and case.recipient(self.author) == recipient


def recognise(message: mime.Part) -> Telling | None:
    """Return the notification in the message, or None."""
    found = rfc8098.find(message)
    if found is None:
        return None
    returned = tuple(value for name, value in header_of(message, "") if name == "message-id")
    return Telling(found, returned, (addresses(message.field("from")) or [""])[0])
