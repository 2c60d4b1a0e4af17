"""Reports that speak to people alone: who says it, in which words, about whom. Pure.

MTAs without RFC 3464, gateways, filters and providers write prose; it is read as people read it. An address is
looked for where a list of recipients stands, never among those of the reporter or of whom to ask for help.
"""

import re
from typing import Final

from services.tracker import mime, returned, verdict

_REPORTER: Final = re.compile(
    r"mailer-?daemon|post[-_ ]?master|mail-?daemon|mdaemon|mail delivery|mail ?system|mail administrator"
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
    r"(?:still|continues?(?: to)?|will) (?:be )?(?:try(?:ing)?|retry|retried|attempt(?:ing)?|queued)\b|attempts (?:to deliver [^.\n]{0,40})?will continue|will continue to (?:be|try|attempt)|been postponed|(?:has"
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
_CODE: Final = re.compile(r"\b[45][0-5]\d[ -]|\b[45]\.\d{1,3}\.\d{1,3}\b")


# Where a list of recipients begins.
_LIST: Final = re.compile(
    r"\b(?:following|these)\s+(?:\w{1,20}\s+)?(?:recipient|address|destination|user|mailbox)(?:s|es|\(s\)|\(es\))?\b"
    r"|n[o']t\s+(?:be\s+)?delivered\s+to\b:?|did\s+not\s+reach\b",
    re.IGNORECASE,
)
# An address that opens a line, as in every MTA's list, and one that an MTA's transcript is about.
_OPENING: Final = (
    r"^[ \t<\"'(:*>-]{{0,12}}(?:[245]\d\d[ -])?(?:to:\s?|(?:original |failed |intended )?recipient:\s?"
    r"|rcpt to:|(?:original |recipient )address:\s?)?<?{}"
)
_IN_TRANSCRIPT: Final = r"^[ \t]{{0,8}}(?:[245]\d\d[ -])?<?{}>?(?:\.\.\.|:[ \n])"
# In a transcript of several, this opens what is about the next one.
_NEXT: Final = re.compile(r"[ \t.]{0,8}while talking to|\d{3} \S{1,255} \(\w{1,10}\)\.\.\.|>>> ")
# Whom to ask for help is not whom the mail was for.
_HELP: Final = re.compile(
    r"(?:contact|send (?:e-?)?mail to|write to|ask|questions?\b[^\n]{0,40}\bto|assistance"
    r"|e-?mail:)[ \t,]{0,3}\n?[^\n]{0,40}?[\w.+-]{1,64}@[\w.-]{1,255}",
    re.IGNORECASE,
)
_DELAYED_SUBJECT: Final = re.compile(r"\bdelay|^warning", re.IGNORECASE)


def is_report(message: mime.Part, words: str) -> bool:
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


def recipients(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[str]:
    """Return whom the report is about, as well as it can be told; empty where it names nobody."""
    failed = returned.addresses(message.field("x-failed-recipients"))
    return (
        failed
        or _candidates(message, words, returned_to)
        or list(dict.fromkeys(returned_to))
        or _candidates(message, message.field("subject"), ())
    )


def action(message: mime.Part, words: str) -> str:
    """Return RFC 3464's word for what the report says: failed or delayed; empty where it says neither."""
    subject = message.field("subject")
    given_up = _GIVEN_UP.search(words)
    if not given_up and (_DELAYED.search(words) or _DELAYED_SUBJECT.search(subject)):
        return "delayed"
    if given_up or message.field("x-failed-recipients") or _FAILURE.search(words) or _SUBJECT.search(subject):
        return "failed"
    return ""


def _candidates(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[str]:
    """Return whom the words may be about: not who reports, nor to whom, nor whom to ask for help."""
    ours = {
        found.lower()
        for name in ("to", "from", "sender", "reply-to", "delivered-to", "return-path", "errors-to")
        for found in returned.addresses(message.field(name))
    }
    plain = _HELP.sub(" ", words)
    listed = _LIST.search(plain)
    found = _others(plain[listed.end() :], ours) if listed else []
    found = found or _others(plain, ours)
    known = {one.lower() for one in returned_to}
    if any(one.lower() in known for one in found):
        return [one for one in found if one.lower() in known or _stands(one, _IN_TRANSCRIPT, words)]
    return [one for one in found if _stands(one, _OPENING, words)] or found


def _others(text: str, ours: set[str]) -> list[str]:
    return [one for one in returned.addresses(text) if one.lower() not in ours and not _REPORTER.search(one)]


def _stands(address: str, where: str, words: str) -> bool:
    pattern = where.format(re.escape(address))
    return re.search(pattern, words, re.MULTILINE | re.IGNORECASE) is not None


def about(names: tuple[str, ...], words: str, alone: bool, others: frozenset[str] = frozenset()) -> str:
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
        elif any(other in low for other in others) or _NEXT.match(low):
            inside = False
        if inside:
            kept.append(line)
    return "\n".join(kept)


def _says_why(text: str) -> bool:
    return bool(_CODE.search(text)) or verdict.says_no_such_user(text)
