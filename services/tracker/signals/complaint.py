"""Complaints: the recipient called the email spam (RFC 5965). Whoever complained gets no more mail.

Only where the signed envelope address proves that the email was ours: a Message-ID anyone can copy.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.tracker import mime, rfc5965
from services.tracker.evidence import Case, Said, Suppress
from services.tracker.returned import addresses, header_of
from shared.events import signal

RANK: Final = 0


class Telling(msgspec.Struct, frozen=True):
    """An abuse report."""

    complaint: rfc5965.Complaint
    message_ids: Sequence[str] = ()
    kind: str = "complaint"
    envid: str = ""
    mail_from: Sequence[str] = ()

    def said(self, case: Case) -> list[Said]:
        """Return the complaint of a recipient the email had; one that hides its name can only be the only one."""
        if not self.complaint.is_complaint:
            return []
        named = [one for given in self.complaint.recipients if (one := case.recipient(given))]
        only = case.only_recipient()
        recipients = named or ([only] if only is not None and not self.complaint.recipients else [])
        kind = self.complaint.feedback_type
        return [
            Said(
                signal.Complained(
                    occurred_at=case.at, recipient=one, raw_key=case.raw_key, feedback_type=kind
                ),
                Suppress(one, "complaint", kind) if case.proof == "return path" else None,
            )
            for one in recipients
        ]


def recognise(message: mime.Part) -> Telling | None:
    """Return the abuse report in the message, or None."""
    found = rfc5965.find(message)
    if found is None:
        return None
    header = header_of(message, "")
    return Telling(
        found,
        message_ids=(*found.message_ids, *(value for name, value in header if name == "message-id")),
        mail_from=tuple(
            one
            for value in [found.mail_from, *(value for name, value in header if name == "return-path")]
            for one in addresses(value)
        ),
    )
