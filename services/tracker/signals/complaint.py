"""Complaints: the recipient called the email spam (RFC 5965). Whoever complained gets no more mail."""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.tracker import mime, rfc5965
from services.tracker.evidence import Case, Said, Suppress
from services.tracker.returned import header_of
from shared.events import signal

RANK: Final = 0


class Telling(msgspec.Struct, frozen=True):
    """An abuse report."""

    complaint: rfc5965.Complaint
    message_ids: Sequence[str] = ()
    kind: str = "complaint"
    envid: str = ""

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
                Suppress(one, "complaint", kind),
            )
            for one in recipients
        ]


def recognise(message: mime.Part) -> Telling | None:
    """Return the abuse report in the message, or None."""
    found = rfc5965.find(message)
    if found is None:
        return None
    return Telling(found, tuple(value for name, value in header_of(message, "") if name == "message-id"))
