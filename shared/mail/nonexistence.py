"""Owns the question whether a refusal proves that an address does not exist, the one ground to suppress it unasked.

Suppressing a good address is the one unforgivable error: whoever is wrongly refused today is never written to again.
So a code needs words that agree or explain nothing, and any word about policy, load, the sender or the state of a
mailbox is a veto, whatever the code says; what is missed here is only refused once more the next time.
"""

import re
from typing import Final

from shared.mail import agreement, rfc3463

_MAX_TEXT: Final = 2000

# RFC 3463 3.2, RFC 5248, RFC 7505: the mailbox, its system or its name is wrong; moved away; takes no mail at all.
_PROVES: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
_NO_SUCH_HOST: Final = "5.4.4"
# Details that say nothing more than the code: there the words alone decide.
_SAYS_NOTHING: Final = frozenset({"", "5.0.0", "5.1.0"})
_BY_WORDS: Final = frozenset({550, 551})
# Size, login, TLS and "no mail service here": none of them is about one address, whatever stands beside them.
_NEVER: Final = frozenset({521, 523, 524, 525, 530, 534, 535, 538, 552})

_OTHER_CODE: Final = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)", re.ASCII)
# <no-such-user@x.test> and https://…/blocked name things; they do not say what happened.
_NAMES: Final = re.compile(r"<[^<>\s]{0,320}>|https?://\S{1,2000}|\S{1,64}@\S{1,255}")

_WHO: Final = r"(?:user|users|recipient|mailbox|account|addressee|person|alias|e-?mail address|email account)"
_UNKNOWN_USER: Final = re.compile(
    rf"\b(?:unknown|no such|non-?existent|nonexisting) (?:local )?{_WHO}\b"
    rf"|\b{_WHO}(?: name| address)?(?: is| was)? (?:unknown|not known|not found|non-?existent)\b"
    rf"|\b{_WHO}\b(?:(?!{agreement.MACHINE})[^.;:]){{0,60}}\b(?:does ?n[o']?t exist|does not exist|do(?:es)? not have an? account|not exist here)\b"
    r"|\bno mailbox here by that name\b|\bno (?:mailbox|user|account|recipient) (?:here )?(?:by|with|of) that name\b"
    r"|\brecipient address rejected: user unknown\b|\bunknown in (?:local|virtual|relay)\b"
    r"|\brecipientnotfound\b",
    re.ASCII,
)
_UNKNOWN_HOST: Final = re.compile(
    r"\b(?:host|domain)(?: name)?(?: is| was)? (?:unknown|not found|non-?existent)\b"
    r"|\b(?:unknown|no such|non-?existent) (?:host|domain)\b|\b(?:host|domain)\b[^.;:]{0,40}\bdoes not exist\b|\bnxdomain\b",
    re.ASCII,
)

# A mailbox that is there and rests, in those languages.
RESTS: Final = (
    "d[e\u00e9]sactiv|desativad|disattivat|dea[ck]tiv|dezaktyw|\u043e\u0442\u043a\u043b\u044e\u0447"
    "|[\u7981\u505c]\u7528|[\u51bb\u51cd]\u7ed3|\u51cd\u7d50|\u4f11\u7720|\ube44\ud65c\uc131|\ud734\uba74"
    "|dezactiv|inaktiv|letilt|felf\u00fcgg|devre d\u0131\u015f|pozastav|vypnut|suljettu|avst\u00e4ng|sp[\u00e4\u00e6]rr|sperret|blok[keo]|blocat"
    "|\u0437\u0430\u0431\u043b\u043e\u043a|\u043f\u0440\u0438\u043e\u0441\u0442\u0430\u043d|\u043d\u0435\u0430\u043a\u0442\u0438\u0432|\u03b1\u03c0\u03b5\u03bd\u03b5\u03c1\u03b3|\u03b1\u03c0\u03bf\u03ba\u03bb\u03b5\u03b9"
)
# What the sender is asked to do names addresses and says nothing of them; alone it is still no silence that lets a code prove anything.
ASKED: Final = " please check "
REQUEST: Final = (
    r"\b(?:please|kindly)\ (?!verify\ your)(?:double-?)?(?:check|verify|correct|update|review)"
    r"(?:\ (?:the|your|this|that|in|of|for|and|it|recipient(?:'?s)?|e-?mail|mail|mailing|spelling|address(?:es)?|list|book|field|typos|name)\b){1,12}"
)
_REQUEST: Final = re.compile(REQUEST)
# Whoever wrote, and where mail goes on to, in English beside the word sender; and the host's own trouble.
NOT_GONE: Final = (
    r"\boriginat(?:or|ing)|(?:return|reply)\ address|envelope[\ -]from|\bsen(?:t|ding)\ from|\bwho\ sent|\byour\ (?:e-?mail\ )?(?:address\b(?!\ book)|account)"
    r"|(?:this|external|internal|outside)\ senders?\b|(?:for|this|as\ a)\ relay\b|unknown\ (?:mail\ )?client"
    r"|licen[sc]e|\bmigrat|\btry\ (?:an)?other|allowed\ list|\bhave\ (?:access|permission)|dns\ (?:failure|problem|timeout)"
)
# Full, or there and not to be had for now.
FOR_NOW: Final = (
    r"voll\b|megtelt|betelt|\bdolu\b|sature|saturad|pleine|llen[ao]|lleno|piena|\blotad|insufic|esaurit|brak\ miejsca|\bzit\ vol\b|(?:är|er|on)\ full\b"
    r"|zur\ zeit|zeitweilig|momentan|temporai?r|temporalment|tijdelijk|chwilow|tymczasow|midlertidig|privremen|trenutno|sementara|\bpenuh\b"
    r"|\bcapacity\b|\bstorage\b|receiving\ (?:too|mail|e-?mail|at)|mail\ receiving|\b(?:for|right)\ now\b"
)
FOR_NOW_ABROAD: Final = (
    r"überschritten|überfüllt|täynn|pełn|plină|plný|γεμάτ|dépass|saturé|przepełn|plná|kota\b|doldu\b|переполн|закончил|превыш|已[满滿]|容量|空间|空間|いっぱい|용량|공간|초과|가득"
    r"|vorübergehend|dočasn|geçici|tillfällig|väliaik|ideiglenes|προσωριν|временн|тимчасов|[暂暫]时|暫時|一時的|일시|休眠|휴면|začasn|tạm thời|مؤقت|ชั่วคราว|זמני"
)
_VETOES: Final = re.compile(
    "|".join(
        (
            # the message or where it comes from, not the recipient
            r"\bblock|\bblack-?\s?list|\bdeny-?list|\bdnsbl|\brbl\b|\bsbl\b|spamhaus|spamcop|barracuda|proofpoint|\bbanned\b",
            r"\bspam|\bjunk|unsolicited|\bbulk\b|\bvirus|malware|phish|suspicious|\babuse|security|fraud",
            r"polic(?:y|ies)|prohibit|not permitted|not allowed|not authori[sz]ed|unauthori[sz]ed|forbidden|restrict",
            r"reputation|\bspf\b|\bdkim\b|\bdmarc\b|\bptr\b|\brdns\b|reverse dns|\bhelo\b|\behlo\b|hostname|client host",
            r"\byour (?:ip|host|server|domain|network|message|mail|e-?mail (?:was|is|has)|connection|organi[sz]ation)|\bips?\b",
            r"access (?:is )?(?:denied|rejected)|relay(?:ing)? (?:is )?(?:denied|not|access|prohib)|unable to relay|cannot relay",
            r"not accept(?:ed|ing)?\b|refuse[sd]? (?:mail|connection)|administrat|content|attachment|header|subject",
            r"member|moderat|subscri|whitelist|white list|allow-?list|challenge|captcha|confirm",
            # the sender: Postfix and Exim say such things in answer to RCPT
            r"sender|\bfrom:?\s+address|mail from|return.?path|envelope.?from|originat|reverse.?path|\bverif|callout|callback",
            # for now, or too much
            r"gr[ae]y|temporar|again|\blater\b|\bretry|defer|delay|time[ds]?.?out|too (?:many|much|fast|quick|busy)|throttl",
            r"\brate\b|\brates\b|\blimit|exceed|quota|\bfull\b|out of (?:disk|space|storage)|no space|insufficient|not enough",
            r"overload|maintenance|service (?:is )?(?:un|not )?available|unable to (?:verify|look|check)|look-?up (?:has )?(?:fail|error|problem|time)|failed look-?up|resources?\b",
            r"server (?:error|failure)|internal error|system error|configur|database|\bldap|dns (?:error|fail)|servfail|loop",
            # the mailbox is there and rests
            r"disabled|inactive|suspend|deactivat|locked|frozen|dormant|hibernat|parked|paused|expired|on hold|over ?due|closed",
            r"unverified|undeliverable address|\bsaid:|connection (?:refused|reset|lost|timed)|\bconnect to\b|filter|\bbusy\b|\bdenied\b",
            r"over (?:size|storage|its)|allocation|has been reached|smtputf8|non-ascii|mailbox unavailable|message rejected|rejected message",
            # full, in the languages of those who say it
            r"\bvoll\b|\u00fcberf\u00fcllt|\bpleine?\b|satur|\bllen[oa]\b|\bpien[oa]\b|\bchei[oa]\b|\bpln[\u00e1\u00fdae]|\bvol\b|\u043f\u0435\u0440\u0435\u043f\u043e\u043b\u043d|\u6ee1",
            r"megtelt|betelt|\bdolu\b|t\u00e4ynn|pe\u0142n|plin\u0103|\u03b3\u03b5\u03bc\u03ac\u03c4|\u043f\u0435\u0440\u0435\u043f\u043e\u0432\u043d|\u7a7a[\u95f4\u9593]|\u5bb9\u91cf|\uc6a9\ub7c9|\uacf5\uac04",
            # blocked or taken for spam, in theirs as well
            r"gesperrt|bloqu|blocca|zablokowan|suspens|\u0441\u043f\u0430\u043c|\u0431\u043b\u043e\u043a\u0438\u0440|\u0444\u0438\u043b\u044c\u0442\u0440",
            r"\u8ff7\u60d1|\u30d6\u30ed\u30c3\u30af|\u5783\u573e|\uc2a4\ud338|\ucc28\ub2e8",
            agreement.SENDER.pattern,
            NOT_GONE,
            FOR_NOW,
            FOR_NOW_ABROAD,
            RESTS,
            # the account of ours
            r"authenticat|credential|log ?in\b|password|starttls|\btls\b|encrypt",
        )
    ),
    re.ASCII,
)


def is_proven(code: int, enhanced: str | None, text: str) -> bool:
    """Say whether a server's refusal of one recipient proves that the address does not exist.

    Ask only for a refusal that was about this one recipient: in answer to RCPT, or after DATA when it was alone.
    """
    if not 500 <= code <= 599 or code in _NEVER:
        return False
    said = _plain(text)
    if _speaks_of_something_else(said):
        return False
    detail = enhanced or rfc3463.enhanced_code(text) or ""
    if detail in _PROVES:
        return agreement.agrees(said) or bool(_UNKNOWN_USER.search(said) or _UNKNOWN_HOST.search(said))
    if detail == _NO_SUCH_HOST:
        return _UNKNOWN_HOST.search(said) is not None
    return detail in _SAYS_NOTHING and code in _BY_WORDS and _UNKNOWN_USER.search(said) is not None


def speaks_of_something_else(text: str) -> bool:
    """Say whether a refusal's words tell of anything but an address that nobody has, whatever its code says."""
    return _speaks_of_something_else(_plain(text))


def _speaks_of_something_else(said: str) -> bool:
    if _VETOES.search(said):
        return True
    # The server behind the server may have said something else.
    return any(other[:2] in ("4.", "5.") and other not in _PROVES for other in _OTHER_CODE.findall(said)[1:])


def _plain(text: str) -> str:
    plain = _NAMES.sub(" ", " ".join(text[:_MAX_TEXT].lower().replace("\u2019", "'").split()))
    return _REQUEST.sub(ASKED, plain)
