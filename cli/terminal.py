"""What is printed and how: as wide as the terminal, coloured only for people, never with foreign controls.

Subjects, addresses and server replies are written by strangers. An escape sequence among them could recolour,
retitle or overwrite the reader's terminal, so every control character is shown instead of sent.
"""

import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, TextIO

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "grey": "90", "bold": "1"}
_OF_STATUS: Final = {
    "sent": "green",
    "delivered": "green",
    "opened": "green",
    "read": "green",
    "replied": "green",
    "clicked": "green",
    "ok": "green",
    "failed": "red",
    "bounced": "red",
    "complained": "red",
    "FAIL": "red",
    "unconfirmed": "yellow",
    "deferred": "yellow",
    "delayed": "yellow",
    "unsubscribed": "yellow",
    "suppressed": "yellow",
    "cancelled": "yellow",
    "expired": "red",
    "WARN": "yellow",
    "sending": "blue",
}
# C0 as the pictures Unicode has for them; C1 and whatever reorders text or ends lines as a replacement.
_SHOWN: Final = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys(
        (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029, 0xFEFF),
        "\ufffd",
    ),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}
_SHOWN_IN_TEXT: Final = {code: to for code, to in _SHOWN.items() if code not in (0x09, 0x0A)}
_IN_JSON: Final = {code: f"\\u{code:04x}" for code in _SHOWN if code >= 0x7F}


def clean(value: object) -> str:
    """Return the value as one line of text that a terminal shows and does not obey."""
    return str(value).replace("\r\n", "\n").translate(_SHOWN)


def clean_text(value: str) -> str:
    """Return text of several lines that a terminal shows and does not obey."""
    return value.replace("\r\n", "\n").translate(_SHOWN_IN_TEXT)


def as_json(data: object, *, indent: int | None = 2) -> str:
    """Return data as JSON: equal when read back, and harmless when shown."""
    import json

    return json.dumps(data, indent=indent, ensure_ascii=False).translate(_IN_JSON)


def width(text: str) -> int:
    """Return how many columns the text takes."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if character in "\u200b\u200c\u200d" or unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Return the text cut to so many columns, with an ellipsis where something is missing."""
    if width(text) <= columns:
        return text
    taken, out = 0, ""
    for character in text:
        taken += _columns(character)
        if taken > columns - 1:
            break
        out += character
    return out + "…"


def pad(text: str, columns: int) -> str:
    """Return the text with spaces up to so many columns."""
    return text + " " * (columns - width(text))


class Terminal:
    """Standard output and standard error of one command."""

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self.is_interactive = self._out.isatty()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.is_coloured = self.is_interactive and not plain

    @property
    def columns(self) -> int | None:
        """Return how wide a line may be; None where nobody looks, so that nothing is cut in a pipe."""
        if not self.is_interactive:
            return None
        import shutil

        return shutil.get_terminal_size().columns

    @property
    def progress(self) -> TextIO | None:
        """Return where progress may be drawn over itself, if somebody looks."""
        return self._err if self._err.isatty() else None

    def say(self, line: str = "") -> None:
        """Print a line that is already clean."""
        print(line, file=self._out, flush=True)

    def say_json(self, data: object, *, indent: int | None = 2) -> None:
        """Print data as JSON."""
        self.say(as_json(data, indent=indent))

    def note(self, line: str) -> None:
        """Print a remark beside the output."""
        print(line, file=self._err, flush=True)

    def colour(self, text: str, name: str | None) -> str:
        """Return the text in a colour, where colours are shown."""
        if not self.is_coloured or name is None:
            return text
        return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m"

    def status(self, word: str, columns: int = 0) -> str:
        """Return a status word in its colour, padded."""
        return self.colour(pad(clean(word), columns), _OF_STATUS.get(word))

    def heading(self, text: str) -> None:
        """Print the heading of a section."""
        self.say()
        self.say(self.colour(text, "bold"))

    def pairs(self, rows: Sequence[tuple[str, Any]], indent: int = 0) -> None:
        """Print names and values, the values aligned; what is None or empty is left out."""
        shown = [(name, value) for name, value in rows if value not in (None, "", [], {})]
        columns = max((width(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.say(f"{' ' * indent}{self.colour(pad(name, columns), 'grey')}  {value}")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]], *, status: int = -1) -> None:
        """Print rows under a head, aligned; when the terminal is narrow the widest columns give way.

        `status` is the column that holds a status word. An ID is never cut: it is there to be copied.
        """
        cells = [[clean("" if cell is None else cell) for cell in row] for row in rows]
        widths = [max(width(line[n]) for line in [list(head), *cells]) for n in range(len(head))]
        if self.columns is not None:
            widths = _narrowed(widths, self.columns, [n for n, name in enumerate(head) if name != "ID"])
        self.say(self.colour(self._row(list(head), widths, -1), "grey"))
        for row in cells:
            self.say(self._row(row, widths, status))

    def _row(self, row: list[str], widths: list[int], status: int) -> str:
        out = []
        for number, (cell, columns) in enumerate(zip(row, widths, strict=True)):
            shown = fit(cell, columns)
            last = number == len(row) - 1
            padded = shown if last else pad(shown, columns)
            out.append(self.colour(padded, _OF_STATUS.get(cell)) if number == status else padded)
        return "  ".join(out).rstrip()


def _narrowed(widths: list[int], columns: int, giving: list[int]) -> list[int]:
    """Return widths that fit: the widest of those that give way goes first, none below 8 columns."""
    widths = list(widths)
    while sum(widths) + 2 * (len(widths) - 1) > columns:
        widest = max(giving, key=lambda n: widths[n])
        if widths[widest] <= 8:
            break
        widths[widest] -= 1
    return widths
