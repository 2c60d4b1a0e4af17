"""What a message says about mail of ours: a delivery report, by the standard or in words alone. Pure.

RFC 3464 is read first; what has no machine-readable part is read as people do: who says it, in which words,
about whom. Nothing here decides whether the report is true; that takes a signed address.
"""

from typing import Final

import msgspec

from services.tracker import announcing, mime, paragraphs, prose, returned, rfc3464, ses, verdict

MAX_RECIPIENTS: Final = 100
_BY_CLASS: Final = {"2": "delivered", "4": "delayed"}
_RANK: Final = ("soft", "unknown", "hard", "delivered", "relayed", "expanded", "delayed")


class Finding(msgspec.Struct, frozen=True):
    """What was reported of one recipient; `action` is RFC 3464's word, empty in a report without fields."""

    recipient: str
    original: str
    action: str
    verdict: verdict.Verdict


class Report(msgspec.Struct, frozen=True):
    """One delivery report, with what it lets us recognise our email by. `is_standard`: it had RFC 3464's fields."""

    is_standard: bool
    findings: tuple[Finding, ...]
    envid: str = ""
    reporting_mta: str = ""
    message_ids: tuple[str, ...] = ()
    returned_to: tuple[str, ...] = ()


def recognise(message: mime.Part) -> Report | None:
    """Return the delivery report in this message, or None when it is none. Never raises."""
    words, tail = returned.words_of(message)
    fields = returned.header_of(message, tail)
    message_ids = tuple(value.strip() for name, value in fields if name == "message-id")[:5]
    returned_to = tuple(
        found
        for name, value in fields
        if name in ("to", "cc", "x-original-to", "envelope-to")
        for found in returned.addresses(value)
    )[:MAX_RECIPIENTS]
    status = rfc3464.find(message)
    if status is None and (notification := ses.find(message)):
        status, message_ids = notification.status, notification.message_ids
    if status is None:
        if not announcing.is_report(message, words):
            return None
        status = rfc3464.in_text(words)
    if status is None:
        return Report(
            False, _merged(_by_words(message, words, returned_to)), "", "", message_ids, returned_to
        )
    named = _named(message, words, returned_to) if len(status.recipients) == 1 else None
    said = paragraphs.Paragraphs(words)
    findings = [_by_fields(one, words, said, status, named) for one in status.recipients[:MAX_RECIPIENTS]]
    return Report(True, _merged(findings), status.envid, status.reporting_mta, message_ids, returned_to)


def _named(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> str | None:
    """Return whom a report on one recipient is about by its words, where that is one address."""
    named = prose.original(words) or prose.recipients(message, words, returned_to)
    return named[0] if len(named) == 1 else None


def _merged(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each recipient: failed outranks the rest, and whatever is not hard outranks hard."""
    best: dict[str, Finding] = {}
    for one in findings:
        known = best.get(one.original.lower())
        if known is None or _RANK.index(one.verdict.kind) < _RANK.index(known.verdict.kind):
            best[one.original.lower()] = one
    return tuple(best.values())


def _by_fields(
    one: rfc3464.Recipient,
    words: str,
    said: paragraphs.Paragraphs,
    status: rfc3464.Status,
    named: str | None,
) -> Finding:
    address = one.original if "@" in one.original else one.final
    if named is not None and "." not in address.rpartition("@")[2]:
        address = named  # a name inside their system, which we never wrote to
    others = frozenset(
        name.lower()
        for other in status.recipients
        if other is not one
        for name in (other.final, other.original)
        if name
    ) - {one.final.lower(), one.original.lower()}
    alone = len(status.recipients) == 1
    beside = said.about((one.final, one.original), alone, others)
    action = one.action if one.action in rfc3464.ACTIONS else _BY_CLASS.get(one.status[:1], "failed")
    judged = verdict.judge(action, one.status, beside, one.diagnostic, words if alone else "")
    return Finding(one.final or address, address, action, judged)


def _by_words(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[Finding]:
    recipients = prose.recipients(message, words, returned_to)[:MAX_RECIPIENTS] or [""]
    action = announcing.action(message, words)
    named = frozenset(one.lower() for one in recipients)
    alone = len(recipients) == 1
    beside = paragraphs.Paragraphs(words)
    findings = []
    for one in recipients:
        about = beside.about((one,), alone, named - {one.lower()})
        said = verdict.judge(action, "", about, dialogue=words if alone else "")
        if said.kind == "hard" and not said.code and not said.smtp_code and not _is_trusted(message):
            said = msgspec.structs.replace(said, kind="soft")  # words alone, and not a mail system's
        findings.append(Finding(one, one, "", said))
    return findings


def _is_trusted(message: mime.Part) -> bool:
    return announcing.is_from_daemon(message) or bool(announcing.REPORTER.search(message.field("from")))
