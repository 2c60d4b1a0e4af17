"""Owns what the words of an SMTP reply give away: a category, and when to come back.

A remote server writes this text, so it is cut first and read in linear time; whatever is not recognised is None,
never a guess.
"""

import re
from datetime import timedelta
from typing import Final, Literal

Said = Literal[
    "invalid_recipient",
    "mailbox_full",
    "message_too_large",
    "policy",
    "spam",
    "authentication",
    "rate_limited",
    "greylisted",
    "server_busy",
    "tls",
    "sender_refused",
    "content",
]

MAX_WAIT: Final = timedelta(hours=24)
_MAX_TEXT: Final = 2000

# <no-spam@full.test> and https://…/blocked name things; they do not say what happened.
_NAMES: Final = re.compile(r"<[^<>\s]{1,320}>|https?://\S{1,2000}|\S{1,64}@\S{1,255}")

# In this order: the first that occurs is what the server meant.
_PHRASES: Final[tuple[tuple[Said, str], ...]] = (
    ("greylisted", r"gr[ae]y-?list"),
    (
        "tls",
        r"must issue a starttls|starttls (?:is )?required|encryption required|requires? (?:tls|encryption)",
    ),
    (
        "authentication",
        r"authentication (?:is )?(?:required|failed|failure|unsuccessful)|not authenticated|must authenticate"
        r"|authenticate first|bad credentials|invalid (?:login|credentials)|username and password not accepted",
    ),
    (
        "mailbox_full",
        r"(?:mailbox|mail box|inbox|mail ?folder|quota|storage)\b[^.]{0,40}\b(?:full|exceeded|over quota|exceeds)"
        r"|over ?quota|out of storage|exceeded (?:storage|its quota|quota)|not enough (?:mailbox )?space",
    ),
    (
        "message_too_large",
        r"(?:message|mail|e-?mail|size|content)\b[^.]{0,40}\b(?:too (?:big|large|long)|exceeds? [^.]{0,30}(?:size|limit|maximum))"
        r"|too (?:big|large)\b|message size exceed|size limit|exceeds? [^.]{0,20}size",
    ),
    (
        "rate_limited",
        r"rate[ -]?limit|too (?:many|much) (?:messages|mails?|e-?mails|connections|recipients|requests|concurrent)"
        r"|too fast|too quickly|throttl|limit exceeded|sending limit|slow down",
    ),
    (
        "spam",
        r"\b(?:anti-?)?spam|junk mail|unsolicited|(?:bulk|mass) mail|block ?list|black ?list|\brbl\b|dnsbl|spamhaus|spamcop|\bu[bc]e\b"
        r"|\bvirus\b|malware|phishing",
    ),
    (
        "sender_refused",
        r"sender (?:address |domain )?(?:rejected|refused|denied|not allowed|verify failed)|not owned by|not allowed to send"
        r"|send as|sendasdenied",
    ),
    (
        "invalid_recipient",
        r"(?:user|mail ?box|recipient|rcpt|account|address|alias)\b[^.]{0,40}\b(?:unknown|not found|does ?n[o']t exist"
        r"|does not exist|not exist|unavailable|disabled|inactive|invalid|rejected: user)"
        r"|(?:unknown|no such|invalid|non-?existent) (?:[a-z]{1,12} )?(?:user|mailbox|recipient|address|account|person|domain)"
        r"|no (?:such )?mail ?box|bad_recipient|(?:does ?n[o']t|does not) have an? [^;]{0,30}\baccount|unrouteable|domain not found|nullmx"
        r"|no smtp service|(?:mailbox|account|user) is (?:frozen|locked|suspended|deactivated)",
    ),
    ("content", r"smtputf8|attachment|header|mime|bare (?:lf|cr)|line too long|8bit"),
    (
        "policy",
        r"\bspf\b|dkim|dmarc|polic(?:y|ies)|relay|rcpthosts|client host rejected|not permitted|access denied|prohibited|not allowed|blocked|reverse dns|\bptr\b|reputation",
    ),
    (
        "server_busy",
        r"try (?:again )?later|temporar|insufficient (?:system )?(?:storage|resources)|busy|overload|shutting down"
        r"|closing|not available|timed? ?out",
    ),
)
_WORDS: Final = tuple((category, re.compile(phrase, re.ASCII)) for category, phrase in _PHRASES)
_PERMANENT_NEVER: Final = frozenset({"greylisted", "server_busy"})

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AMOUNT: Final = (
    r"(\d{1,7} ?|(?:an?|one) (?=[a-z]{3}))(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b"
)
# A number counts only behind a word that asks to come back: "1000 messages in 60 seconds" is no invitation.
_COME_BACK: Final = re.compile(
    r"\b(?:retry|try|again|come back|wait|gr[ae]y-?list(?:ed|ing)?|blocked|delayed|deferred)\b[^0-9]{0,40}?\b"
    rf"(?:(\d{{1,3}}):(\d\d):(\d\d)\b|{_AMOUNT}(?:,? (?:and )?{_AMOUNT})?)",
    re.ASCII,
)


def category(text: str, *, is_temporary: bool) -> Said | None:
    """Return what the text says in words, or None; `is_temporary` is whether the reply code was 4xx."""
    said = _NAMES.sub(" ", _cut(text))
    for found, words in _WORDS:
        if (is_temporary or found not in _PERMANENT_NEVER) and words.search(said):
            return found
    return None


def retry_after(text: str) -> timedelta | None:
    """Return how long the server asks us to wait ("try again in 300 seconds"), at most a day, or None."""
    found = _COME_BACK.search(_NAMES.sub(" ", _cut(text)))
    if not found:
        return None
    hours, minutes, seconds, *amounts = found.groups()
    if hours:
        wait = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    else:
        wait = _seconds(*amounts[:2]) + _seconds(*amounts[2:])
    return min(timedelta(seconds=wait), MAX_WAIT)


def _seconds(amount: str | None, unit: str | None) -> int:
    if amount is None or unit is None:
        return 0
    return (int(amount) if amount[0].isdigit() else 1) * _UNITS[unit[0]]


def _cut(text: str) -> str:
    return " ".join(text[:_MAX_TEXT].lower().split())
