"""The verdict on a report's words: hard, soft, delayed or unknown, and with which code. Pure.

Hard means that the address does not exist, and only hard suppresses. A good address suppressed is the one
unforgivable error, so hard needs a code or words that say just that, and nothing beside them that says
something else: a full mailbox, a block, a disabled account and a policy are soft whatever code they come with.
"""

import re
from typing import Final, Literal

import msgspec

from shared.mail import rfc3463

Class = Literal["delivered", "relayed", "expanded", "delayed", "hard", "soft", "unknown"]
MAX_TEXT: Final = 4000

_ENHANCED: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_REPLY: Final = re.compile(r"(?<![\d.:/-])([245][0-5]\d)(?=[ \-:,)\]]|$)(?!-\d)")
# What names things but says nothing: addresses, hosts in brackets, links.
_NAMES: Final = re.compile(
    r"<[^<>\s]{1,320}>|https?://\S{1,2000}|[^\s<>@]{1,64}@[^\s<>@]{1,255}|\[[\d.:a-fA-F]{3,45}\]"
)

_HARD_CODES: Final = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "4.4"})
# Codes that reporters give to anything at all say nothing against words that are plain.
_VAGUE_CODES: Final = re.compile(r"5\.(?:0\.\d{1,3}|1\.(?!7$|8$)\d{1,3}|2\.0|2\.1|3\.0|4\.0|5\.\d)")

_NO_SUCH_USER: Final = re.compile(
    r"""
    (?:user|usuario|mailbox|mail\ box|mail\ account|e?-?mail\ (?:account|address)|recipient(?:'s)?
        |account|address(?:ee)?|local\ part|login|alias|username|person)
        \b[^.;\n]{0,60}?\b
        (?:is\ |was\ |are\ )?(?:unknown|not\ (?:been\ )?found|not\ (?:a\ )?known|(?:does\ ?n[o']?t
            |do\ not|did\ not|didn't|not)\ (?:currently\ )?exists?|non-?existent|not\ (?:a\ )?valid
            |invalid|not\ (?:be\ )?(?:listed|recogni[sz]ed|registered|resolved)|no\ longer\ (?:exists?
            |valid)|has\ been\ removed|undefined)
    |(?:unknown|no\ such|invalid|non-?existent|bad|illegal|incorrect|undefined|unrecogni[sz]ed
        |nonexisting|not\ our)
        (?:\ or\ (?:unknown|illegal|invalid|unresolvable|disallowed
            |nonexistent))?\ ?(?:[a-z'-]{1,14}\ ){0,2}?(?:local[\ -]?part|users?\b|mail\ ?box
            |recipients?\b|account|person\b|alias|addressee|address\b|mail\ address|rcpt|customer
            |user\ id|userid)
    |no\ (?:mail\ ?box|account|user|recipient)\ (?:here\ )?(?:by|with|called|named|at|for
        |under)\ (?:that|this)?
    |no\ mail\ ?box\ (?:here|found|available\ here)|mailbox\ not\ here
    |(?:does\ ?n[o']?t|do\ not|did\ not|didn't|not)\ (?:have|find|exist|match
        |known)[^.;\n]{0,40}(?:account|mail\ ?box|user|recipient|address|directory|domain)
    |(?:do\ not|don't)\ (?:have|know)[^.;\n]{0,30}(?:user|account|address)
    |not\ (?:listed\ in|found\ in|in\ (?:the\ )?)[^.;\n]{0,30}(?:directory|address\ book|user\ database
        |names)
    |user\ unknown|no\ valid\ recipients?\ for\ this|unrouteable\ (?:mail\ )?domain
        |unknown\ (?:or\ illegal\ )?(?:user|alias|local)|unknown\ in\ (?:virtual|local|relay)
        |account\ unknown
    |recipientnotfound|recipient\ not\ found|unknown\ recipient|resolver\.adr\.\w{0,12}notfound
        |\bunknown\ rcpt\b
    |this\ (?:user|address|account|mailbox)\ (?:doesn't|does\ not|no\ longer)\ (?:have|exist|exists)
        |has\ no\ mailbox|is\ not\ a\ valid\ (?:user|mailbox|recipient|address)
    |not\ a\ (?:known|local)\ user|not\ (?:a\ )?user\ here|there\ is\ no\ (?:such\ )?(?:user|account
        |mailbox|one)|no\ one\ (?:here\ )?by\ that|couldn't\ be\ found|could\ not\ be\ found\ in
        |wasn't\ found\ at
    |unbekannt(?:er?)?\ (?:empf\w{1,8}|benutzer|adress\w{0,4}|nutzer)|(?:empf\w{1,8}|benutzer|adresse
        |postfach|nutzer)\b[^.;\n]{0,40}(?:unbekannt|existiert\ nicht|nicht\ gefunden|nicht\ vorhanden
        |nicht\ bekannt)
    |(?:utilisateur|destinataire|adresse|compte|bo\w{1,3}te)\b[^.;\n]{0,40}(?:inconnu|n'existe\ pas
        |introuvable|inexistant)
    |(?:usuario|usu\w{1,2}rio|destinatario|destinat\w{1,2}rio|direcci\w{1,2}n|cuenta|buz\w{1,2}n|conta
        |endere\w{1,2}o)\b[^.;\n]{0,40}(?:desconocid|desconhecid|no\ existe|n\w{1,2}o\ existe|inexistent
        |no\ encontrad|inv\w{1,2}lid)
    |(?:utente|destinatario|casella|indirizzo)\b[^.;\n]{0,40}(?:sconosciut|inesistente|non\ esiste
        |non\ trovat)
    |(?:gebruiker|ontvanger|adres)\b[^.;\n]{0,40}(?:onbekend|bestaat\ niet|niet\ gevonden)
        |onbekende\ (?:gebruiker|ontvanger)
    |(?:u\u017cytkownik|odbiorca|adres|konto)\b[^.;\n]{0,40}(?:nieznany|nie\ istnieje)
        |nieznany\ (?:u\u017cytkownik|odbiorca)
    |(?:\u043f\u043e\u043b\u044c\u0437\u043e\u0432\u0430\u0442\u0435\u043b\u044c
        |\u044f\u0449\u0438\u043a|\u0430\u0434\u0440\u0435\u0441
        |\u043f\u043e\u043b\u0443\u0447\u0430\u0442\u0435\u043b\u044c)[^.;\n]{0,40}(?:\u043d\u0435\ (?:\u043d\u0430\u0439\u0434\u0435\u043d
        |\u0441\u0443\u0449\u0435\u0441\u0442\u0432\u0443\u0435\u0442
        |\u0437\u0430\u0440\u0435\u0433\u0438\u0441\u0442\u0440\u0438\u0440\u043e\u0432\u0430\u043d)
        |\u043d\u0435\u0438\u0437\u0432\u0435\u0441\u0442)
    |(?:\u7528\u6237|\u6536\u4ef6\u4eba|\u90ae\u7bb1|\u5730\u5740)[^\u3002\n]{0,12}(?:\u4e0d\u5b58\u5728
        |\u672a\u627e\u5230)|\u4e0d\u5b58\u5728\u7684(?:\u7528\u6237|\u90ae\u7bb1|\u6536\u4ef6\u4eba)
    |(?:\u5b9b\u5148|\u30e6\u30fc\u30b6\u30fc?|\u30a2\u30c9\u30ec\u30b9)[^\u3002\n]{0,20}(?:\u4e0d\u660e
        |\u5b58\u5728\u3057\u307e\u305b\u3093|\u5b58\u5728\u3057\u306a\u3044
        |\u898b\u3064\u304b\u308a\u307e\u305b\u3093)
    |\u30c7\u30a3\u30ec\u30af\u30c8\u30ea[^\u3002\n]{0,20}(?:\u3042\u308a\u307e\u305b\u3093
        |\u898b\u3064\u304b\u308a\u307e\u305b\u3093)
    |\uc874\uc7ac\ud558\uc9c0\ \uc54a\ub294|(?:\uc218\uc2e0\uc790
        |\uc0ac\uc6a9\uc790)[^.\n]{0,20}(?:\uc5c6|\ucc3e\uc744\ \uc218)
    """,
    re.VERBOSE,
)
_NO_SUCH_HOST: Final = re.compile(
    r"""
    (?:host|domain|name\ server|mail\ server|site)(?:\ name)?\b[^.;\n]{0,40}?\b(?:unknown|not\ found
        |does\ ?n[o']?t\ exist|not\ exist|non-?existent|invalid)
    |(?:unknown|no\ such|invalid|bad|illegal|non-?existent)\ (?:host|domain|destination\ (?:host
        |domain))(?!\ keys?)
    |couldn't\ find\ any\ host|cannot\ find\ your\ domain|could\ not\ find\ (?:any\ )?(?:host|domain)
        |nxdomain|no\ dns\ (?:data|entry)\ for
    |\bno\ (?:a|mx)\ (?:or\ (?:a|mx)\ )?records?\ (?:found|for)|domain\ \S{1,100}\ (?:couldn't
        |could\ not)\ be\ found
    """,
    re.VERBOSE,
)
# What stands beside words of an unknown user and makes them mean something else.
_SOMETHING_ELSE: Final = re.compile(
    r"""
    quota|mail\ ?box\ (?:is\ |was\ )?(?:full|size|exceeded)|full\ mail\ ?box|(?:mail\ ?box|account|inbox
        |folder)\b[^.;\n]{0,25}\bfull|out\ of\ (?:storage|space)|insufficient|disk\ space|too\ (?:big
        |large|long)|size\ (?:limit|exceed)|exceed(?:s|ed)?\b|over\ (?:the\ )?(?:limit|allowed)
    |\bspam|unsolicited|\bbulk\ (?:mail|e-?mail)|black ?-?list|block ?-?list|deny ?list|\brbl\b|dnsbl
        |spamhaus|spamcop|barracuda|reputation|\bvirus|malware|phish|infected
    |\bblocked\b|\bblocking\b|\bbanned\b|prohibited|policy|policies|\bspf\b|\bdkim\b|\bdmarc\b|\bptr\b
        |reverse\ dns|not\ (?:allowed|authori[sz]ed|permitted|accepted\ from)|unauthori[sz]ed
        |access\ denied|permission|denied\ by|rejected\ (?:by|due|because|for)\ (?:policy|spam|content
        |your)
    |relay(?:ing)?\ (?:access\ )?(?:denied|not|is\ not|prohibited|disallowed)|unable\ to\ relay
        |cannot\ relay|not\ permitted\ to\ relay|we\ do\ not\ relay|relaying
    |gr[ae]y-?list|rate\ ?-?limit|too\ many|too\ fast|throttl|try\ (?:again|later)|temporar
        |later\b[^.]{0,20}again|timed?\ ?-?out|deferred|connection\ (?:refused|reset|lost)|resources
    |not\ accepting|does\ not\ accept|doesn't\ accept|restricted|restriction|expired
    |sender\b[^.;\n]{0,40}(?:unknown|invalid|rejected|not\ (?:exist|found|valid|verif)
        |does\ ?n[o']?t\ exist|verif|denied|unverif)|(?:invalid|unknown|bad|unverified)\ sender
        |verify\ (?:sender|failed)|from\ address|return\ path|mail\ from|reverse-?path|envelope\ from
    |authenticat|certificate|\btls\b|starttls|helo|ehlo|syntax\ error|header|attachment
        |content\ (?:filter|rejected|block)|loop|too\ many\ hops|hop\ count|mail\ for\ \S{1,200}\ loops
    |command\ output|procmail|maildrop|permission\ denied|can't\ create|couldn't\ create|i/o\ error
        |internal\ (?:software|server)?\ ?error|configuration\ error|config\ error|local\ configuration
    |voll\b|\u00fcberschritten|sature|satur\u00e9|pleine|llen[ao]|lleno|piena
        |\u043f\u0435\u0440\u0435\u043f\u043e\u043b\u043d|\u5df2\u6ee1|\u5bb9\u91cf
        |\u3044\u3063\u3071\u3044
    """,
    re.VERBOSE,
)
# An account that is there and may come back; only a code for an unknown address outweighs it.
_ASLEEP: Final = re.compile(
    r"disabled|deactivated|inactive|not active|suspend|\bfrozen\b|\blocked\b|over due|discontinued"
)
# A server that took the recipient and refuses the message speaks of the message, whatever its words.
_AFTER_DATA: Final = re.compile(
    r"end of (?:the )?(?:data|message)|reply to (?:end of )?data|smtp command data|>>> data|after data"
)
_FULL: Final = re.compile(r"quota|disk space|mail ?box (?:is )?full|full mail ?box")
_LISTED: Final = re.compile(
    r"spamhaus|spamcop|barracuda|sorbs|senderscore|block ?-?list|black ?-?list|dnsbl|\brbl\b|reputation"
)
_ABOUT_SENDER: Final = re.compile(r"\bfrom:|for sending|sender|originat")
_TRANSIENT_DNS: Final = re.compile(
    r"malformed|unexpected|try again|temporar|timed? ?-?out|servfail|connection|lookup failure"
    r"|soft error|no route|network"
)


class Verdict(msgspec.Struct, frozen=True):
    """What a failure means. `code` is the best enhanced code there was, `smtp_code` the reply code, 0 for none."""

    kind: Class
    code: str | None
    smtp_code: int
    category: rfc3463.Category
    suggested_action: str
    text: str


def judge(action: str, status: str, words: str, diagnostic: str = "") -> Verdict:
    """Return the verdict on one recipient.

    `action` and `status` are RFC 3464's, empty where nobody gave one; `diagnostic` is what the remote server said,
    `words` what the report says beside it. The best code is the diagnostic's, then the status, then the
    reply code, then the words'.
    """
    diagnostic, words = _cut(diagnostic), _cut(words)
    said = diagnostic or words
    code = _best_code(diagnostic, status, words)
    smtp_code = reply_code(diagnostic) or reply_code(words)
    kind = _kind(action, code, smtp_code, said if diagnostic else words, words)
    category = _category(kind, code, smtp_code, said)
    return Verdict(kind, code, smtp_code, category, rfc3463.action_for(category), said[:500])


def _category(kind: Class, code: str | None, smtp_code: int, said: str) -> rfc3463.Category:
    if kind == "hard":
        return "invalid_recipient"
    category = rfc3463.classify(smtp_code or _as_reply(code), code, said, "rcpt").category
    if category == "invalid_recipient" and _SOMETHING_ELSE.search(_said(said)):
        return "policy"
    return category


def _kind(action: str, code: str | None, smtp_code: int, said: str, words: str) -> Class:
    if action in ("delivered", "relayed", "expanded", "delayed"):
        return action  # type: ignore[return-value]
    if code is None and not smtp_code and not said:
        return "soft" if action == "failed" else "unknown"
    if is_hard(code, smtp_code, said) and not _FULL.search(_said(words)):
        return "hard"
    if (
        code is not None
        or smtp_code
        or action == "failed"
        or says_no_such_user(said)
        or _SOMETHING_ELSE.search(_said(said))
    ):
        return "soft"
    return "unknown"


def is_hard(code: str | None, smtp_code: int, text: str) -> bool:
    """Say whether this tells beyond doubt that the address, or its domain, does not exist."""
    said = _said(text)
    if (
        (code and code[0] != "5")
        or 400 <= smtp_code < 500
        or _SOMETHING_ELSE.search(said)
        or _LISTED.search(text.lower())
    ):
        return False
    detail = code[2:] if code else ""
    if detail == "4.4" or detail == "1.2":
        return not _TRANSIENT_DNS.search(said)
    if detail in _HARD_CODES:
        return True
    if _ASLEEP.search(said) or _AFTER_DATA.search(said):
        return False
    if code is not None and not _VAGUE_CODES.fullmatch(code):
        return False
    if smtp_code not in (0, 550, 551, 553, 554):
        return False
    return says_no_such_user(text) or _says_no_such_host(said)


def _says_no_such_host(said: str) -> bool:
    return (
        bool(_NO_SUCH_HOST.search(said))
        and not _TRANSIENT_DNS.search(said)
        and not _ABOUT_SENDER.search(said)
    )


def says_no_such_user(text: str) -> bool:
    """Say whether the words are those of an address that nobody has."""
    return _NO_SUCH_USER.search(_said(text)) is not None


def enhanced(text: str) -> str | None:
    """Return the first enhanced status code in the text that is a failure's, else any, or None."""
    found = ["".join((kind, ".", subject, ".", detail)) for kind, subject, detail in _ENHANCED.findall(text)]
    useful = [code for code in found if not code.endswith(".0.0")]
    return next(iter(useful or found), None)


def reply_code(text: str) -> int:
    """Return the first SMTP reply code of a failure in the text, or 0."""
    codes = [int(code) for code in _REPLY.findall(text)]
    return next((code for code in codes if code >= 400), 0)


def _best_code(diagnostic: str, status: str, words: str) -> str | None:
    best = enhanced(diagnostic)
    if best is None or best.endswith(".0.0"):
        best = (status if status and not status.endswith(".0.0") else None) or best or status or None
    return best or enhanced(words)


def _as_reply(code: str | None) -> int:
    return {"4": 450, "5": 550}.get(code[0], 0) if code else 550


def _cut(text: str) -> str:
    return " ".join(text[:MAX_TEXT].split())


def _said(text: str) -> str:
    return _NAMES.sub(" ", text.lower().replace("\u2019", "'"))
