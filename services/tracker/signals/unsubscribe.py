"""Unsubscribing by mail (RFC 2369): a message to the signed address that stood in the email's List-Unsubscribe.

Whoever has the address had the email; who leaves is the sender, and only a recipient of that email can.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.tracker import mime, returned, rfc3834
from services.tracker.addressing import own_addresses
from services.tracker.evidence import Case, Said, Suppress
from shared.events import signal
from shared.runtime import handles

RANK: Final = 30


class Telling(msgspec.Struct, frozen=True):
    """A message from somebody who wants no more."""

    from_address: str
    kind: str = "unsubscribe"
    envid: str = ""
    message_ids: Sequence[str] = ()

    def said(self, case: Case) -> list[Said]:
        """Return that the sender left, where the sender is whom the email was sent to."""
        recipient = case.recipient(self.from_address)
        if recipient is None or case.proof != "unsubscribe address":
            return []
        event = signal.Unsubscribed(
            occurred_at=case.at, recipient=recipient, raw_key=case.raw_key, via="mail"
        )
        return [Said(event, Suppress(recipient, "unsubscribe", "by mail"))]


def recognise(message: mime.Part) -> Telling | None:
    """Return the wish, or None. An automatic answer to such an address is nobody's wish."""
    if not any(handles.is_unsubscribe_address(one) for one in own_addresses(message)):
        return None
    # Clients that unsubscribe for their user may well say auto-generated; auto-replied is an answer, but not Apple Mail's.
    is_users_wish = message.field("x-apple-unsubscribe").strip().lower() == "true"
    answered = not is_users_wish and message.field("auto-submitted").strip().lower().startswith(
        "auto-replied"
    )
    if answered or rfc3834.is_subject(message.field("subject")):
        return None
    return Telling((returned.addresses(message.field("from")) or [""])[0])
