"""Why a report is no ground to suppress whom it names, though it says that nobody has the address. Pure.

A forwarding recipient is there, and what its forwarding met says nothing about it: one word of that is enough.
"""

import re
from collections.abc import Iterable
from typing import Final

from services.tracker import returned, rfc3464
from shared.mail import nonexistence

MAX_TEXT: Final = 4000
_FORWARDED: Final = re.compile(
    r"generated from|expanded from|\bforward(?:ed|ing)\b|\balias(?:ed)? (?:to|of|for)\b"
)
_FORWARDED_HINTS: Final = ("ted from", "ded from", "forward", "alias")
# qmail-remote's words for the answer to RCPT: it heard that itself, where others tell what a further server said.
_FIRST_HAND: Final = re.compile(r"does not like recipient\.\s{1,4}Remote host said:", re.IGNORECASE)
_ASKED: Final = re.compile(r"RCPT[ \t]+TO:[ \t]*<?([^<>\s]{3,320})", re.IGNORECASE)
_ANSWERED: Final = re.compile(r"<([^<>\s@]{1,64}@[^<>\s@]{1,255})>")
_ARRIVED: Final = frozenset({"delivered", "relayed", "expanded"})


class Doubts:
    """What the words of one report speak against, read once and asked for each of its recipients."""

    def __init__(self, words: str) -> None:
        plain = returned.unquoted(words)
        self._is_forwarded = _is_forwarded(plain)
        self._asked = frozenset(one.lower() for one in _ASKED.findall(plain) if "@" in one)

    def of_words(self, recipient: str, diagnostic: str) -> bool:
        """Say whether the words tell of another address than this one, or the reason is another."""
        said = _FIRST_HAND.sub(" ", returned.unquoted(diagnostic[:MAX_TEXT]))
        if self._is_forwarded or _is_forwarded(said) or nonexistence.speaks_of_something_else(said):
            return True
        named = {one.lower() for one in (*_ASKED.findall(said), *_ANSWERED.findall(said)) if "@" in one}
        return bool((named | self._asked) - {recipient.lower()})


def _is_forwarded(text: str) -> bool:
    low = text.lower()
    # Almost no report has one of these, and to look for them costs a tenth of the pattern.
    return any(hint in low for hint in _FORWARDED_HINTS) and _FORWARDED.search(low) is not None


def of_fields(one: rfc3464.Recipient, all_of_them: Iterable[rfc3464.Recipient]) -> bool:
    """Say whether the fields tell that somebody got it under this name, or that it was handed on."""
    if one.actual and one.actual.lower() != one.final.lower():
        return True
    names = _names(one)
    return any(names & _names(other) for other in all_of_them if _arrived(other))


def _arrived(one: rfc3464.Recipient) -> bool:
    return one.action in _ARRIVED or (not one.action and one.status.startswith("2"))


def _names(one: rfc3464.Recipient) -> set[str]:
    return {name.lower() for name in (one.final, one.original) if name}
