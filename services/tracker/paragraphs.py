"""Which of a report's words are about whom: a recipient's paragraphs, and of a shared one its own lines. Pure.

What is said of one recipient must never be taken for another: `ann@` is not named by a line about `joann@`.
"""

import re
from typing import Final, NamedTuple

from services.tracker import returned, verdict

_CODE: Final = re.compile(r"\b[45][0-5]\d[ -]|\b[45]\.\d{1,3}\.\d{1,3}\b")
# In a transcript of several, this opens what is about the next one.
_NEXT: Final = re.compile(r"[ \t.]{0,8}while talking to|\d{3} \S{1,255} \(\w{1,10}\)\.\.\.|>>> ")
_PART_OF_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._%+-=")


class _Line(NamedTuple):
    text: str
    low: str
    addresses: frozenset[str]


class Paragraphs:
    """The words of one report, taken apart once and asked for each of its recipients."""

    def __init__(self, words: str) -> None:
        self._words = words
        self._blocks = [block for block in re.split(r"\n[ \t>]*\n", words) if block.strip()]
        self._low = [block.lower() for block in self._blocks]
        self._lines: dict[int, list[_Line]] = {}
        self._reasons: dict[int, bool] = {}

    def about(self, names: tuple[str, ...], alone: bool, others: frozenset[str] = frozenset()) -> str:
        """Return what is said of a recipient by any of its names; all that says why where it is the only one."""
        wanted = [name.lower() for name in names if name]
        chosen: list[str] = []
        for place, low in enumerate(self._low):
            if any(_names(low, name) for name in wanted):
                ours = self._own_lines(place, wanted, others)
                chosen.append(ours)
                if not _says_why(ours):
                    chosen += self._following(place)
        text = "\n".join(line for line in dict.fromkeys(chosen) if line)
        if alone and not _says_why(text):
            reasons = (block for place, block in enumerate(self._blocks) if self._is_reason(place))
            text = "\n".join([text, *reasons])
        return text or (self._words if alone else "")

    def _following(self, place: int) -> list[str]:
        """Return the next paragraphs, as far as they name nobody or say why."""
        after = range(place + 1, min(place + 3, len(self._blocks)))
        return [
            self._blocks[one]
            for one in after
            if self._is_reason(one) or not returned.addresses(self._low[one])
        ]

    def _own_lines(self, place: int, wanted: list[str], others: frozenset[str]) -> str:
        """Return the lines of a block from where it names this recipient to where it names another one."""
        lines = self._lines_of(place)
        if not any(line.addresses & others for line in lines):
            return self._blocks[place]
        kept: list[str] = []
        inside = False
        for line in lines:
            if any(_names(line.low, name) for name in wanted):
                inside = True
            elif line.addresses & others or _NEXT.match(line.low):
                inside = False
            if inside:
                kept.append(line.text)
        return "\n".join(kept)

    def _lines_of(self, place: int) -> list[_Line]:
        if place not in self._lines:
            self._lines[place] = [
                _Line(line, line.lower(), frozenset(returned.addresses(line.lower())))
                for line in self._blocks[place].split("\n")
            ]
        return self._lines[place]

    def _is_reason(self, place: int) -> bool:
        if place not in self._reasons:
            self._reasons[place] = _says_why(self._blocks[place])
        return self._reasons[place]


def _names(low: str, name: str) -> bool:
    """Say whether a text names this one, and not somebody whose name only contains it."""
    at = low.find(name)
    while at >= 0:
        after = low[at + len(name) : at + len(name) + 2]
        longer = after[:1].isalnum() or after[:1] in ("-", "_") or (after[:1] == "." and after[1:].isalnum())
        if low[at - 1 : at] not in _PART_OF_NAME and not longer:
            return True
        at = low.find(name, at + 1)
    return False


def _says_why(text: str) -> bool:
    return bool(_CODE.search(text)) or verdict.says_no_such_user(text)
