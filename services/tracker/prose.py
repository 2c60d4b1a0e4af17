"""Reports that speak to people alone: about whom they are. Pure.

MTAs without RFC 3464, gateways, filters and providers write prose; it is read as people read it. An address is
looked for where a list of recipients stands, never among those of the reporter or of whom to ask for help.
"""

import re
from typing import Final

from services.tracker import announcing, mime, returned

# Where a list of recipients begins.
_LIST: Final = re.compile(
    r"\b(?:following|these)\s+(?:\w{1,20}\s+)?(?:recipient|address|destination|user|mailbox)(?:s|es|\(s\)|\(es\))?\b"
    r"|n[o']t\s+(?:be\s+)?delivered\s+to\b:?|did\s+not\s+reach\b",
    re.IGNORECASE,
)
# An address that opens a line, as in every MTA's list, and one that an MTA's transcript is about.
_OPENING: Final = re.compile(
    r"^[ \t<\"'(:*>\[-]{0,12}(?:[245]\d\d[ -])?(?:to:\s?|(?:original |failed |intended )?recipient:\s?"
    r"|rcpt to:|(?:original |recipient )address:\s?)?<?(" + returned.ADDRESS.pattern + r")",
    re.MULTILINE | re.IGNORECASE,
)
_ORIGINAL: Final = re.compile(
    r"\boriginal(?:ly)? (?:address|recipient|addressed to)\s?:?\s{0,3}<?(" + returned.ADDRESS.pattern + ")",
    re.IGNORECASE,
)
_IN_TRANSCRIPT: Final = re.compile(
    r"^[ \t]{0,8}(?:[245]\d\d[ -])?<?(" + returned.ADDRESS.pattern + r")(?:>?\.\.\.|>?:[ \n])", re.MULTILINE
)
# Whose mail an MTA says it sent on to the one it could not reach (Exim, Postfix, Sendmail).
_SENT_ON: Final = re.compile(
    r"\((?:ultimately )?(?:generated|expanded) from:?\s{1,20}<?(" + returned.ADDRESS.pattern + ")",
    re.IGNORECASE,
)
# Whom to ask for help is not whom the mail was for.
_HELP: Final = re.compile(
    r"(?:contact|send (?:e-?)?mail to|write to|ask|questions?\b[^\n]{0,40}\bto|assistance"
    r"|e-?mail:)[ \t,]{0,3}\n?[^\n]{0,40}?[\w.+-]{1,64}@[\w.-]{1,255}",
    re.IGNORECASE,
)


def recipients(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[str]:
    """Return whom the report is about, as well as it can be told; empty where it names nobody."""
    return (
        named(message, words, returned_to)
        or list(dict.fromkeys(returned_to))
        or _candidates(message, message.field("subject"), ())
    )


def named(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[str]:
    """Return whom the reporter itself names, in a field or in its words."""
    return returned.addresses(message.field("x-failed-recipients")) or _candidates(
        message, words, returned_to
    )


def sent_on(words: str) -> dict[str, str]:
    """Return by whom each address that a report is about, in lower case, had its mail sent on to it."""
    begins = [(found.start(), found[1].lower()) for found in _OPENING.finditer(words)]
    origins: dict[str, str] = {}
    for found in _SENT_ON.finditer(words):
        before = [address for at, address in begins if at < found.start()]
        if before:
            origins[before[-1]] = found[1]
    return origins


def original(words: str) -> list[str]:
    """Return the addresses a report calls the original ones, beside those of its own system."""
    return list(dict.fromkeys(_ORIGINAL.findall(words)))


def _candidates(message: mime.Part, words: str, returned_to: tuple[str, ...]) -> list[str]:
    """Return whom the words may be about: not who reports, nor to whom, nor whom to ask for help."""
    ours = {
        found.lower()
        for name in ("to", "from", "sender", "reply-to", "delivered-to", "return-path", "errors-to")
        for found in returned.addresses(message.field(name))
    }
    helping = _HELP.findall(words)
    ours |= {found.lower() for help_ in helping for found in returned.addresses(help_)}
    ours -= {one.lower() for one in returned_to}
    plain = _HELP.sub(" ", words) if helping else words
    listed = _LIST.search(plain)
    found = _others(plain[listed.end() :], ours) if listed else []
    found = found or _others(plain, ours)
    known = {one.lower() for one in returned_to}
    if any(one.lower() in known for one in found):
        known |= _standing(_IN_TRANSCRIPT, words)
        if listed:
            known |= _standing(_OPENING, plain[listed.end() :])
        return [one for one in found if one.lower() in known]
    opening = _standing(_OPENING, words)
    return [one for one in found if one.lower() in opening] or found


def _others(text: str, ours: set[str]) -> list[str]:
    return [
        one
        for one in returned.addresses(text)
        if one.lower() not in ours and not announcing.REPORTER.search(one)
    ]


def _standing(where: re.Pattern[str], words: str) -> set[str]:
    return {found.lower().rstrip(".").lstrip("'`") for found in where.findall(words)}
