"""Message disposition notifications (RFC 8098): what a mail client says about a message it was given."""

import re
from typing import Final

import msgspec

from services.tracker import mime, returned, rfc3464

_DISPOSITION: Final = re.compile(
    r"\s*(?:[\w-]{1,40}\s?/\s?[\w-]{1,40}\s*;\s*|(?=displayed\b|deleted\b|denied\b|dispatched\b|processed\b))([a-z-]{1,20})",
    re.IGNORECASE,
)


class Disposition(msgspec.Struct, frozen=True):
    """One notification. `kind` is displayed, deleted, dispatched or processed, in lower case; empty if unreadable."""

    kind: str
    final_recipient: str
    original_message_id: str


def find(message: mime.Part) -> Disposition | None:
    """Return the notification in the message, or None when it is none. Never raises."""
    for part in returned.outer(message):
        if part.kind in ("message/disposition-notification", "message/global-disposition-notification"):
            fields = dict(reversed(mime.fields_of(part.text())))
            said = _DISPOSITION.match(fields.get("disposition", ""))
            return Disposition(
                said[1].lower() if said else "",
                rfc3464.address(fields.get("final-recipient", "")),
                fields.get("original-message-id", "").strip(),
            )
    return None
