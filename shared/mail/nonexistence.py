"""Owns the question whether a refusal proves that an address does not exist, the one ground to suppress it unasked.

Suppressing a good address is the one unforgivable error: whoever is wrongly refused today is never written to again.
So the code and the words must agree, and any word about policy, load, the sender or the state of a mailbox is a veto,
whatever the code says; what is missed here is only refused once more the next time.
"""

import re
from typing import Final

from shared.mail import rfc3463

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
# Where one of these was not found it is the one that is missing, unless it is where was looked.
MACHINE: Final = r"(?<!\bthis\ )(?<!\bour\ )\b(?:servers?|hosts?|data ?base|commands?|domain|mx|store|backend|director(?:y|ies)|nodes?)\b"
_UNKNOWN_USER: Final = re.compile(
    rf"\b(?:unknown|no such|non-?existent|nonexisting) (?:local )?{_WHO}\b"
    rf"|\b{_WHO}(?: name| address)?(?: is| was)? (?:unknown|not known|not found|non-?existent)\b"
    rf"|\b{_WHO}\b(?:(?!{MACHINE})[^.;:]){{0,60}}\b(?:does ?n[o']t exist|does not exist|do(?:es)? not have an? account|not exist here)\b"
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

# The sender, and where it is and wants answers, in the languages that reports and refusals are written in beside English.
SENDER: Final = re.compile(
    "absender|exp[e\u00e9]diteur|[e\u00e9]metteur|remitente|mittente|remetente|afzender|nadawc|avs[e\u00e4]nd|afsend|l\u00e4hett\u00e4j"
    "|odes[i\u00ed]latel|odosielate|g\u00f6nderen|g\u00f6nderici|felad\u00f3|expeditor"
    "|\u03b1\u03c0\u03bf\u03c3\u03c4\u03bf\u03bb|\u043e\u0442\u043f\u0440\u0430\u0432\u0438\u0442\u0435\u043b|\u0432\u0456\u0434\u043f\u0440\u0430\u0432\u043d\u0438\u043a"
    "|[\u53d1\u767c\u5bc4]\u4ef6[\u4eba\u8005]|\u53d1\u4fe1\u4eba|\u5dee\u51fa\u4eba|\u9001\u4fe1\u8005|\u9001\u4fe1\u5143|\u767a\u4fe1\u8005"
    "|\ubcf4\ub0b8 ?\uc0ac\ub78c|\ubcf4\ub0b4\ub294 ?\uc0ac\ub78c|[\ubc1c\uc1a1]\uc2e0 ?[\uc790\uc778]"
    r"|(?:adress?e?n?|adresu?|direcci[o\u00f3]n|indirizzo|endere[c\u00e7]o|\u0430\u0434\u0440\u0435\u0441[\u0430\u0443]?|\u03b4\u03b9\u03b5\u03cd\u03b8\u03c5\u03bd\u03c3\u03b7)(?: (?:du|de|del|des|do|van|der|den|\S{1,12}))? (?:ser[vw]|\u0441\u0435\u0440\u0432\u0435\u0440|\u03b4\u03b9\u03b1\u03ba\u03bf\u03bc\u03b9\u03c3\u03c4)"
    r"|\u0443 \S{1,20} \u0441\u0435\u0440\u0432\u0435\u0440|sunucu\w{0,3} adres|(?:\u670d\u52a1\u5668|\u4f3a\u670d\u5668|\u6765\u6e90|\u4f86\u6e90|[\u60a8\u4f60]\u7684)(?:\u5730\u5740|\u90ae\u7bb1|\u4fe1\u7bb1)"
    r"|\b(?:ihre|votre|notre|unsere|uw) (?:e-?mail-?)?adres|\bsu (?:direcci|correo)|\btuo indirizzo|\bseu endere|\u0432\u0430\u0448(?:\u0435\u0433\u043e|\u0435\u043c\u0443)? (?:\u0430\u0434\u0440\u0435\u0441|\u0445\u043e\u0441\u0442|\u0441\u0435\u0440\u0432\u0435\u0440|\u0434\u043e\u043c\u0435\u043d)|\u043e\u0442 \u0432\u0430\u0441"
    r"|\ub3c4\uba54\uc778\uc774? ?\uc874\uc7ac|\uadc0\ud558\uc758"
    r"|(?:adress?e?|adresu?|direcci[o\u00f3]n|indirizzo|endere[c\u00e7]o) ip\b|ip[ -]?(?:adress?|\u0430\u0434\u0440\u0435\u0441|[\u5730\u4f4d]\u5740|\u30a2\u30c9\u30ec\u30b9|\uc8fc\uc18c)"
    "|r\u00fccksende|(?:adresse|direcci\u00f3n|endere\u00e7o|indirizzo) d[ei] r(?:etour|etorno|itorno)|\u043e\u0431\u0440\u0430\u0442\u043d|\u043a\u043b\u0438\u0435\u043d\u0442"
)
# A mailbox that is there and rests, in those languages.
RESTS: Final = (
    "d[e\u00e9]sactiv|desativad|disattivat|dea[ck]tiv|dezaktyw|\u043e\u0442\u043a\u043b\u044e\u0447"
    "|[\u7981\u505c]\u7528|[\u51bb\u51cd]\u7ed3|\u51cd\u7d50|\u4f11\u7720|\ube44\ud65c\uc131|\ud734\uba74"
    "|dezactiv|inaktiv|letilt|felf\u00fcgg|devre d\u0131\u015f|pozastav|vypnut|suljettu|avst\u00e4ng|sp[\u00e4\u00e6]rr|sperret|blok[keo]|blocat"
    "|\u0437\u0430\u0431\u043b\u043e\u043a|\u043f\u0440\u0438\u043e\u0441\u0442\u0430\u043d|\u043d\u0435\u0430\u043a\u0442\u0438\u0432|\u03b1\u03c0\u03b5\u03bd\u03b5\u03c1\u03b3|\u03b1\u03c0\u03bf\u03ba\u03bb\u03b5\u03b9"
)
_STOPS: Final = re.compile(r"[.;\u3002]")
# Two words, or some of a script without spaces: less than that explains nothing.
_SENTENCE: Final = re.compile(r"[^\W\d_]{2}\W{1,4}[^\W\d_]{3}|[\u3040-\uffef]{4}")
# What agrees with a code that nobody has the address; alone it would prove nothing.
_AGREES: Final = re.compile(
    r"\b(?:recipient|address|rcpt|user|mail ?box|account|customer)\b[^.;\n]{0,30}\b(?:rejected|unavailable|not available|invalid|wrong|bad|gone|deleted"
    r"|removed|inactive)\b(?! (?:your|the|this|it|mail|message))|\binactive (?:e-?mail|address|user|mailbox)"
    r"|unknown\b(?! (?:\w+ )?(?:reason|error|cause|problem|failure|type|client))|no such\b|no longer (?!accept)|\binvalid (?:recipient|mailbox|user|address|account)|\bno one\b|\bnull ?mx\b|accepts no mail|not a (?:valid|known)|\bnot (?:on this|in our)\b|n[o']t exist|non-?exist|not (?:be )?found|couldn't be found|misspelled"
    r"|no (?:valid recipient|mail ?box|account|user)\b|\bbad (?:recipient|destination|address)|address (?:syntax|required)|has (?:moved|left)\b|\bleft (?:the|our)\b|\bnot (?:on file|present|an? local|local|in my valid|listed|recogni[sz]ed|valid|known|ours|our|here)\b|unrecogni[sz]ed|unroute?able"
    r"|unbekannt|existiert nicht|nicht (?:gefunden|bekannt|vorhanden)|mit diesem namen|aucune? (?:utilisateur|destinataire|compte|bo)|\byok\b|nebyl\w? nalezen|kein solche|ung\u00fcltig|inconnu|introuvable|n'existe|invalide\b|desconocid|no existe|inv\u00e1lid|n\u00e3o existe|desconhecid|inexist"
    r"|nessun utente|sconosciut|inesistent|non esiste|non valid[oa]|errat[oa]\b|sbagliat|onbekend|bestaat niet|nieznan|nie istnieje|nie ma takie|nieprawid\u0142|ok\u00e4nd|finns inte"
    r"|ukjent|ukendt|finnes ikke|findes ikke|tuntematon|ei l\u00f6ydy|ismeretlen|nincs ilyen|nem l\u00e9tez|necunoscut|nu exist|neexist|nezn\u00e1m|neplatn"
    r"|ge\u00e7ersiz|bulunamad|\u0430\u0434\u0440\u0435\u0441 \u043d\u0435\u0432\u0435\u0440\u0435\u043d|\u043d\u0435\u0438\u0437\u0432\u0435\u0441\u0442|\u043d\u0435\u0432\u0435\u0440\u043d|\u043d\u0435\u0441\u0443\u0449\u0435\u0441\u0442\u0432|\u043d\u0435 \u0441\u0443\u0449\u0435\u0441\u0442\u0432|\u043d\u0435 \u043d\u0430\u0439\u0434\u0435\u043d|\u043d\u0435\u0442 \u0442\u0430\u043a\u043e|\u043d\u0435 \u0456\u0441\u043d\u0443|\u043d\u0435\u0432\u0456\u0434\u043e\u043c|\u043d\u0435 \u0437\u043d\u0430\u0439\u0434\u0435\u043d"
    r"|\u03b4\u03b5\u03bd \u03c5\u03c0\u03ac\u03c1\u03c7|\u03ac\u03b3\u03bd\u03c9\u03c3\u03c4|[\u65e0\u7121]\u6548|\u4e0d\u5b58\u5728|\u627e\u4e0d\u5230|[\u67e5\u65e0\u7121]\u6b64|[\u6ca1\u6c92]\u6709[\u8fd9\u9019\u8be5\u8a72]|\u4e0d\u660e|\u5b58\u5728\u3057[\u306a\u307e]|\u898b\u3064\u304b\u308a\u307e\u305b\u3093|\uc874\uc7ac\ud558\uc9c0|\ucc3e\uc744 \uc218 \uc5c6|\uc5c6\ub294|\uc798\ubabb\ub41c"
)
# Whoever wrote, and where mail goes on to, in English beside the word sender.
NOT_THE_RECIPIENT: Final = (
    r"\boriginat(?:or|ing)|(?:return|reply)\ address|envelope[\ -]from|\bsen(?:t|ding)\ from|\bwho\ sent|\byour\ (?:e-?mail\ )?(?:address\b(?!\ book)|account)"
    r"|(?:this|external|internal|outside)\ senders?\b|(?:for|this|as\ a)\ relay\b|unknown\ (?:mail\ )?client"
    r"|licen[sc]e|\bmigrat|\btry\ (?:an)?other|allowed\ list|dns\ (?:failure|problem|timeout)"
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
            r"disabled|inactive|suspend|deactivat|locked|frozen|dormant|expired|on hold|over ?due|closed",
            r"unverified|undeliverable address|\bsaid:|connection (?:refused|reset|lost|timed)|\bconnect to\b|filter|\bbusy\b|\bdenied\b",
            r"over (?:size|storage|its)|allocation|has been reached|smtputf8|non-ascii|mailbox unavailable|message rejected|rejected message",
            # full, in the languages of those who say it
            r"\bvoll\b|\u00fcberf\u00fcllt|\bpleine?\b|satur|\bllen[oa]\b|\bpien[oa]\b|\bchei[oa]\b|\bpln[\u00e1\u00fdae]|\bvol\b|\u043f\u0435\u0440\u0435\u043f\u043e\u043b\u043d|\u6ee1",
            r"megtelt|betelt|\bdolu\b|t\u00e4ynn|pe\u0142n|plin\u0103|\u03b3\u03b5\u03bc\u03ac\u03c4|\u043f\u0435\u0440\u0435\u043f\u043e\u0432\u043d|\u7a7a[\u95f4\u9593]|\u5bb9\u91cf|\uc6a9\ub7c9|\uacf5\uac04",
            # blocked or taken for spam, in theirs as well
            r"gesperrt|bloqu|blocca|zablokowan|suspens|\u0441\u043f\u0430\u043c|\u0431\u043b\u043e\u043a\u0438\u0440|\u0444\u0438\u043b\u044c\u0442\u0440",
            r"\u8ff7\u60d1|\u30d6\u30ed\u30c3\u30af|\u5783\u573e|\uc2a4\ud338|\ucc28\ub2e8",
            SENDER.pattern,
            NOT_THE_RECIPIENT,
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
        return agrees(said)
    if detail == _NO_SUCH_HOST:
        return _UNKNOWN_HOST.search(said) is not None
    return detail in _SAYS_NOTHING and code in _BY_WORDS and _UNKNOWN_USER.search(said) is not None


def speaks_of_something_else(text: str) -> bool:
    """Say whether a refusal's words tell of anything but an address that nobody has, whatever its code says."""
    return _speaks_of_something_else(_plain(text))


def agrees(answer: str) -> bool:
    """Say whether a server's words, in lower case, agree with its code that nobody has the address, or explain nothing.

    No veto is enough where the code alone decides: there are more ways to say that a mailbox is there than anybody lists.
    """
    sentences = (one for one in _STOPS.split(answer) if not SENDER.search(one))
    return _SENTENCE.search(answer) is None or any(_AGREES.search(one) for one in sentences)


def _speaks_of_something_else(said: str) -> bool:
    if _VETOES.search(said):
        return True
    # The server behind the server may have said something else.
    return any(other[:2] in ("4.", "5.") and other not in _PROVES for other in _OTHER_CODE.findall(said)[1:])


def _plain(text: str) -> str:
    return _NAMES.sub(" ", " ".join(text[:_MAX_TEXT].lower().split()))
