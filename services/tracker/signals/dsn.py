"""Delivery reports: delivered, delayed, bounced (RFC 3464, RFC 6533, and what others write in words).

A good address suppressed is the one unforgivable error: only a hard bounce at our signed return path, in which a
mail system itself names a recipient the email really had, and that nothing speaks against, suppresses anything.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from services.tracker import mime, report
from services.tracker.evidence import Case, Said, Suppress
from services.tracker.returned import addresses
from shared.events import delivery, signal

RANK: Final = 10

_KINDS: dict[str, Literal["hard", "soft", "unknown"]] = {"hard": "hard", "soft": "soft", "unknown": "unknown"}


class Telling(msgspec.Struct, frozen=True):
    """A delivery report."""

    report: report.Report
    kind: str = "dsn"

    @property
    def envid(self) -> str:
        """The envelope id the report gives back."""
        return self.report.envid

    @property
    def message_ids(self) -> Sequence[str]:
        """The Message-ID of the message that came back."""
        return self.report.message_ids

    @property
    def mail_from(self) -> Sequence[str]:
        """The envelope sender of the message that came back, where the report says it."""
        return addresses(self.report.mail_from)

    def said(self, case: Case) -> list[Said]:
        """Return one event for each recipient of ours that the report is about."""
        authors = [one for named in self.report.authors if (one := case.recipient(named))]
        if authors and self.report.in_words:
            return []  # whoever was written to and writes back is there
        sayings = []
        for finding in self.report.findings:
            recipient = _recipient(case, finding)
            # Every recipient can read the Message-ID: what words alone say then is not enough to call somebody unknown.
            is_vague = case.proof == "message id" and self.report.in_words
            if recipient is not None and not (is_vague and finding.verdict.kind in _KINDS):
                certain = not authors and _is_certain(case, self.report, finding, recipient)
                sayings.append(_said(case, finding, recipient, self.report.reporting_mta or None, certain))
        return sayings


def recognise(message: mime.Part) -> Telling | None:
    """Return the delivery report in the message, or None."""
    found = report.recognise(message)
    return None if found is None else Telling(found)


def _recipient(case: Case, finding: report.Finding) -> str | None:
    """Return whom of the email it is about; a forwarded address is known by the original one.

    A report that names nobody is about the only recipient there is.
    """
    for named in (finding.original, finding.recipient):
        if named and (recipient := case.recipient(named)):
            return recipient
    return case.only_recipient() if not finding.original and not finding.recipient else None


def _is_certain(case: Case, said: report.Report, finding: report.Finding, recipient: str) -> bool:
    """Say whether this is ground to suppress; all of it has to hold, and no original name counts."""
    return (
        finding.verdict.kind == "hard"
        and case.proof == "return path"
        and bool(finding.named)
        and case.recipient(finding.named) == recipient
        and (not said.in_words or case.only_recipient() is not None)
    )


def _said(
    case: Case, finding: report.Finding, recipient: str, reporting_mta: str | None, certain: bool
) -> Said:
    verdict = finding.verdict
    if verdict.kind in ("delivered", "relayed", "expanded"):
        return Said(
            signal.Delivered(
                occurred_at=case.at,
                recipient=recipient,
                raw_key=case.raw_key,
                action=verdict.kind,
                reporting_mta=reporting_mta,
            )
        )
    if verdict.kind == "delayed":
        return Said(
            signal.Delayed(
                occurred_at=case.at,
                recipient=recipient,
                raw_key=case.raw_key,
                reason=_reason(finding, retryable=True),
            )
        )
    bounced = signal.Bounced(
        occurred_at=case.at,
        recipient=recipient,
        raw_key=case.raw_key,
        kind=_KINDS[verdict.kind],
        reason=_reason(finding, retryable=False),
        diagnostic=verdict.text or None,
        reporting_mta=reporting_mta,
    )
    detail = " ".join(filter(None, (verdict.code, verdict.text)))[:300]
    return Said(bounced, Suppress(recipient, "bounce", detail) if certain else None)


def _reason(finding: report.Finding, *, retryable: bool) -> delivery.Reason:
    verdict = finding.verdict
    return delivery.Reason(
        code=str(verdict.smtp_code) if verdict.smtp_code else finding.action or verdict.kind,
        enhanced_code=verdict.code,
        category=verdict.category,
        message=verdict.text or "the report gives no reason",
        retryable=retryable,
        suggested_action=verdict.suggested_action,
    )
