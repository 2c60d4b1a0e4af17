"""What a message says about mail of ours: a delivery report, by the standard or in words alone. Pure.

RFC 3464 is read first; what has no machine-readable part is read as people do: who says it, in which words,
about whom. Nothing here decides whether the report is true; that takes a signed address.
"""

from typing import Final

import msgspec

from services.tracker import announcing, doubts, mime, paragraphs, prose, returned, rfc3464, ses, verdict

MAX_RECIPIENTS: Final = 100
_BY_CLASS: Final = {"2": "delivered", "4": "delayed"}
_RANK: Final = ("soft", "unknown", "hard", "delivered", "relayed", "expanded", "delayed")


class Finding(msgspec.Struct, frozen=True):
    """What was reported of one recipient; `action` is RFC 3464's word, empty in a report without fields.

    `named` is the recipient as the report itself names it, empty where the name is only inferred or something
    in the report speaks against taking it at its word.
    """

    recipient: str
    original: str
    action: str
    verdict: verdict.Verdict
    named: str = ""


class Report(msgspec.Struct, frozen=True):
    """One delivery report, with what it lets us recognise our email by.

    `is_standard`: it had RFC 3464's fields. `in_words`: they stood in no part of their own, if there were any.
    `authors` are those who say it, `mail_from` is the envelope sender of what came back where it is told.
    """

    is_standard: bool
    findings: tuple[Finding, ...]
    envid: str = ""
    reporting_mta: str = ""
    message_ids: tuple[str, ...] = ()
    returned_to: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    in_words: bool = False
    mail_from: str = ""


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
    status, mail_from = rfc3464.find(message), ""
    if status is None and (notification := ses.find(message)):
        is_outer = any(ses.find(part) for part in returned.outer(message) if not part.parts)
        status = msgspec.structs.replace(notification.status, is_outer=is_outer)
        message_ids, mail_from = notification.message_ids, notification.mail_from
    authors = authors_of(message)
    if status is not None:
        findings = _by_status(message, words, status, returned_to)
        return Report(
            True,
            findings,
            status.envid,
            status.reporting_mta,
            message_ids,
            returned_to,
            authors,
            mail_from=mail_from,
        )
    # A mail system that writes a receipt (Sieve's reject, RFC 5429) reports in its words.
    if returned.is_receipt(message) and not announcing.is_from_system(message):
        return None
    if not announcing.is_report(message, words, has_returned=bool(fields)):
        return None
    status = rfc3464.in_text(words)
    if status is None:
        findings = _merged(_by_words(message, words, returned_to))
    else:
        trusted = announcing.is_from_system(message)
        findings = _by_status(message, words, msgspec.structs.replace(status, is_outer=trusted), returned_to)
    if _is_its_own_subject(findings, authors) or _names_nobody(message, findings):
        return None
    envid, reporting_mta = (status.envid, status.reporting_mta) if status else ("", "")
    return Report(
        status is not None, findings, envid, reporting_mta, message_ids, returned_to, authors, in_words=True
    )


def authors_of(message: mime.Part) -> tuple[str, ...]:
    """Return the addresses that a message says it is from."""
    values = (value for name in ("from", "sender", "return-path") for value in message.all(name))
    return tuple(dict.fromkeys(found for value in values for found in returned.addresses(value)))


def _is_its_own_subject(findings: tuple[Finding, ...], authors: tuple[str, ...]) -> bool:
    """Say whether somebody who writes is the one said not to be there: an answer, and no report."""
    said_by = {one.lower() for one in authors}
    return any({one.recipient.lower(), one.original.lower()} & said_by for one in findings)


def _names_nobody(message: mime.Part, findings: tuple[Finding, ...]) -> bool:
    """Say whether no reporter says of nobody that it was not reached: what people write about such things."""
    return not any(one.original for one in findings) and not (
        announcing.is_from_system(message) or message.kind == "multipart/report"
    )


def _by_status(
    message: mime.Part, words: str, status: rfc3464.Status, returned_to: tuple[str, ...]
) -> tuple[Finding, ...]:
    status = msgspec.structs.replace(status, recipients=tuple(dict.fromkeys(status.recipients)))
    named = _named(message, words, returned_to) if len(status.recipients) == 1 else None
    said, against = paragraphs.Paragraphs(words), doubts.Doubts(words)
    return _merged(
        [_by_fields(one, words, said, against, status, named) for one in status.recipients[:MAX_RECIPIENTS]]
    )


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
    against: doubts.Doubts,
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
    is_doubtful = (
        not status.is_outer
        or doubts.of_fields(one, status.recipients)
        or against.of_words(one.final, one.diagnostic or beside)
    )
    return Finding(one.final or address, address, action, judged, "" if is_doubtful else one.final)


def _by_words(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[Finding]:
    origins = prose.sent_on(words)
    recipients = prose.recipients(message, words, returned_to)[:MAX_RECIPIENTS] or [""]
    recipients = _without(recipients, origins)
    action = announcing.action(message, words)
    by_reporter = prose.named(message, words, returned_to)
    named = frozenset(one.lower() for one in recipients)
    trusted = announcing.is_from_system(message)
    alone = len(recipients) == 1
    beside, against = paragraphs.Paragraphs(words), doubts.Doubts(words)
    findings = []
    for one in recipients:
        about = beside.about((one,), alone, named - {one.lower()})
        said = verdict.judge(action, "", about, dialogue=words if alone else "")
        if said.kind == "hard" and not trusted:
            said = msgspec.structs.replace(said, kind="soft")  # in words, and not a mail system's
        is_sure = trusted and one in by_reporter and not against.of_words(one, about)
        findings.append(Finding(one, origins.get(one.lower(), one), "", said, one if is_sure else ""))
    return findings


def _without(recipients: list[str], origins: dict[str, str]) -> list[str]:
    """Return whom the report is about without those whose mail was sent on to others it is about."""
    others = {one.lower() for sent_to, one in origins.items() if sent_to in map(str.lower, recipients)}
    return [one for one in recipients if one.lower() not in others - origins.keys()]
