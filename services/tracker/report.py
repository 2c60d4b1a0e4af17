"""What a message says about mail of ours: a delivery report, by the standard or in words alone. Pure.

RFC 3464 is read first; what has no machine-readable part is read as people do: who says it, in which words,
about whom. Nothing here decides whether the report is true; that takes a signed address.
"""

import re
from typing import Final

import msgspec

from services.tracker import mime, returned, rfc3464, verdict

MAX_RECIPIENTS: Final = 100
_REPORTER: Final = re.compile(
    r"mailer-?daemon|post-?master|mail-?daemon|mdaemon|mail delivery|mail ?system|mail administrator"
    r"|system administrator|mail subsystem|undeliver|mail router|mailrouter|delivery service"
    r"|mail transport|internet mail|bounce|mmdf",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"undeliver|undelivered|non[- ]?deliver|not delivered|un?able to deliver|deliver(?:y"
    r"|ed)?\b.{0,40}(?:fail|error|problem|status|notif|delay|report|impossible)|fail(?:ed"
    r"|ure)\b.{0,40}(?:deliver|mail|message|notice)|returned (?:mail|message|to sender)|(?:mail"
    r"|message)\b.{0,30}(?:return|fail|error|delay|could not|system error|problem|not sent|refused)"
    r"|warning: (?:could not|message)|user unknown|unknown user|unzustellbar|nicht zugestellt"
    r"|fehlgeschlagen|non remis|\u00e9chec|imposible|no se pudo|no entregado|mancat[ao]|impossibile"
    r"|\u914d\u4fe1|\u9000\u4fe1|\u30a8\u30e9\u30fc|\u672a\u9001\u9054"
    r"|\u043d\u0435\u0434\u043e\u0441\u0442\u0430\u0432|\ubc18\uc1a1|\bndn\b|\bndr\b",
    re.IGNORECASE,
)
_FAILURE: Final = re.compile(
    r"(?:could|can|was|were|has|have|did|is|are)(?: ?not|n't)\b.{0,40}(?:be )?(?:deliver|sent|reach"
    r"|accept|process|find|found)|not able to deliver|unable to (?:deliver|send|reach)|undeliver"
    r"|non-deliver|delivery\b.{0,60}\b(?:fail|error|impossible|problem|suspend|abort|unsuccess)"
    r"|(?:fail(?:ed|ure)|error|problem)\b.{0,60}\b(?:deliver|recipient|address)|(?:permanent|fatal"
    r"|delivery) (?:fatal )?error|user unknown|unknown user|returned to (?:the )?sender|rejected|refused"
    r"|nicht zugestellt|konnte nicht|n'a pas pu|no (?:se )?ha podido|non .{0,30}consegnat"
    r"|\u914d\u4fe1\u3067\u304d|\u5c4a\u3051\u308b\u3053\u3068|\u9001\u4fe1\u3067\u304d|\u4e0d\u660e"
    r"|\u65e0\u6cd5|\u043d\u0435 .{0,30}\u0434\u043e\u0441\u0442\u0430\u0432\u043b\u0435\u043d",
    re.IGNORECASE | re.DOTALL,
)
_DELAYED: Final = re.compile(
    r"(?:still|continue(?:s)?|will) (?:be )?(?:try|retry|attempt|queued)|(?:has"
    r"|have) not (?:yet )?been (?:delivered|sent)[^.]{0,60}(?:yet|still|after)"
    r"|not yet (?:been )?(?:delivered|sent)|(?:delivery|message|mail)[^.\n]{0,40}\bdelay"
    r"|do(?:es)? not need to (?:re)?send|no action is required|this is a warning|warning message only"
    r"|temporarily (?:delayed|queued)|will be (?:re)?tried|verz\u00f6gert",
    re.IGNORECASE,
)
_GIVEN_UP: Final = re.compile(
    r"gave up|giv(?:en|ing) up|have been failing|permanent|fatal|expired|too long"
    r"|could not be delivered (?:for|after|within)|retry (?:time(?:out)?|limit)[^.\n]{0,20}exceed"
    r"|will not (?:be )?(?:re)?tr|no longer",
    re.IGNORECASE,
)
_BY_CLASS: Final = {"2": "delivered", "4": "delayed"}
_CODE: Final = re.compile(r"\b[45][0-5]\d[ -]|\b[45]\.\d{1,3}\.\d{1,3}\b")


# Whom to ask for help is not whom the mail was for.
_HELP: Final = re.compile(
    r"(?:contact|send (?:e-?)?mail to|write to|ask|questions?\b[^\n]{0,40}\bto|assistance"
    r"|e-?mail:)[ \t,]{0,3}\n?[^\n]{0,40}?[\w.+-]{1,64}@[\w.-]{1,255}",
    re.IGNORECASE,
)


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
    if status is not None:
        findings = tuple(
            _by_fields(one, words, status, returned_to) for one in status.recipients[:MAX_RECIPIENTS]
        )
        return Report(True, findings, status.envid, status.reporting_mta, message_ids, returned_to)
    if not _is_in_words(message, words):
        return None
    return Report(False, tuple(_by_words(message, words, returned_to)), "", "", message_ids, returned_to)


def _by_fields(
    one: rfc3464.Recipient, words: str, status: rfc3464.Status, returned_to: tuple[str, ...]
) -> Finding:
    alone = len(status.recipients) == 1
    address = one.original if "@" in one.original else one.final
    if "@" not in address and alone and len(set(returned_to)) == 1:
        address = returned_to[0]
    others = frozenset(
        name.lower()
        for other in status.recipients
        if other is not one
        for name in (other.final, other.original)
        if name
    ) - {one.final.lower(), one.original.lower()}
    beside = _about((one.final, one.original), words, alone, others)
    action = one.action if one.action in rfc3464.ACTIONS else _BY_CLASS.get(one.status[:1], "failed")
    return Finding(
        one.final or address, address, action, verdict.judge(action, one.status, beside, one.diagnostic)
    )


def _is_in_words(message: mime.Part, words: str) -> bool:
    """Say whether this is a report without fields: who says it, and that it says so."""
    if message.field("x-failed-recipients"):
        return True
    subject = message.field("subject")
    from_reporter = bool(_REPORTER.search(message.field("from") + " " + message.field("sender")))
    empty_sender = message.field("return-path").strip() == "<>"
    is_report = message.kind == "multipart/report" and message.parameters.get("report-type", "").lower() in (
        "delivery-status",
        "",
    )
    said = bool(
        _FAILURE.search(words[:20_000])
        or verdict.says_no_such_user(words[:20_000])
        or _DELAYED.search(words[:20_000])
    )
    return (
        is_report
        or (said and (from_reporter or empty_sender or bool(_SUBJECT.search(subject))))
        or (from_reporter and bool(_SUBJECT.search(subject)))
    )


def _by_words(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[Finding]:
    failed = returned.addresses(message.field("x-failed-recipients"))
    recipients = failed or _candidates(message, words, returned_to) or list(dict.fromkeys(returned_to))
    delayed = bool(_DELAYED.search(words)) and not _GIVEN_UP.search(words)
    if not delayed and re.search(r"\bdelay|^warning", message.field("subject"), re.IGNORECASE):
        delayed = not _GIVEN_UP.search(words)
    action = (
        "delayed"
        if delayed
        else "failed"
        if failed or _FAILURE.search(words) or _GIVEN_UP.search(words)
        else ""
    )
    alone = len(recipients) < 2
    named = frozenset(one.lower() for one in recipients)
    return [
        Finding(
            address,
            address,
            "",
            verdict.judge(action, "", _about((address,), words, alone, named - {address.lower()})),
        )
        for address in recipients[:MAX_RECIPIENTS] or [""]
    ]


def _candidates(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[str]:
    """Return whom the words may be about: not who reports, nor to whom, nor whom to ask for help."""
    ours = {
        found.lower()
        for name in ("to", "from", "sender", "reply-to", "delivered-to", "return-path", "errors-to")
        for found in returned.addresses(message.field(name))
    }
    found = [
        one
        for one in returned.addresses(_HELP.sub(" ", words))
        if one.lower() not in ours and not _REPORTER.search(one)
    ]
    known = {one.lower() for one in returned_to}
    return [one for one in found if one.lower() in known] or _most_like_recipients(found, words)


def _most_like_recipients(found: list[str], words: str) -> list[str]:
    """Prefer addresses that open a line, as in every MTA's list of recipients, to those inside a sentence."""
    opening = [
        one
        for one in found
        if re.search(
            rf"^[ \t<\"'(:*>-]{{0,12}}(?:to:\s?|recipient:\s?|rcpt to:)?<?{re.escape(one)}",
            words,
            re.MULTILINE | re.IGNORECASE,
        )
    ]
    return opening or found


def _about(names: tuple[str, ...], words: str, alone: bool, others: frozenset[str] = frozenset()) -> str:
    """Return the part of the words that is about this recipient: its paragraphs, and the next while none says why."""
    blocks = [block for block in re.split(r"\n[ \t>]*\n", words) if block.strip()]
    wanted = [name.lower() for name in names if name]
    chosen: list[str] = []
    for place, block in enumerate(blocks):
        low = block.lower()
        if any(name in low for name in wanted):
            ours = _own_lines(block, wanted, others)
            chosen.append(ours)
            if not _says_why(ours):
                chosen += [
                    following
                    for following in blocks[place + 1 : place + 3]
                    if not returned.addresses(following) or _says_why(following)
                ][:2]
    text = "\n".join(line for line in dict.fromkeys(chosen) if line)
    if alone and not _says_why(text):
        text = "\n".join([text, *(block for block in blocks if _says_why(block))])
    return text or (words if alone else "")


def _own_lines(block: str, wanted: list[str], others: frozenset[str]) -> str:
    """Return the lines of a block from where it names this recipient to where it names another one."""
    if not any(other in block.lower() for other in others):
        return block
    kept: list[str] = []
    inside = False
    for line in block.split("\n"):
        low = line.lower()
        if any(name in low for name in wanted):
            inside = True
        elif any(other in low for other in others):
            inside = False
        if inside:
            kept.append(line)
    return "\n".join(kept)


def _says_why(text: str) -> bool:
    return bool(_CODE.search(text)) or verdict.says_no_such_user(text)
