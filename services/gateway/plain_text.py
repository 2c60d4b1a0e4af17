"""Owns the text part derived from a client's HTML when none was given.

Read by people whose client shows no HTML, so it keeps what carries meaning: headings, paragraphs, lists, rows,
quotes, and where links lead as numbered notes below. Bounded work and output for any input; it never raises.
"""

import re
from typing import Final

from services.gateway import html_tokens

# fmt: off
_PARAGRAPHS: Final = frozenset((
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "figure", "fieldset", "hr",
))
_LINES: Final = frozenset((
    "div", "tr", "li", "dt", "dd", "section", "article", "header", "footer", "main", "nav", "aside", "form", "address",
    "center", "tbody", "thead", "tfoot", "caption", "figcaption", "body", "html", "legend", "details", "summary", "option",
))
# fmt: on
_CELLS: Final = frozenset(("td", "th"))
_ACTED_ON: Final = _PARAGRAPHS | _LINES | _CELLS | {"a", "br", "img"}
_HIDEABLE: Final = frozenset(("div", "span", "td", "tr", "p", "table", "section", "center", "a", "font"))
# A preheader is for the list of letters, not for the letter. A font-size of 0 hides nothing: it keeps gaps
# between the columns of a layout away, whose words have a size of their own.
_HIDDEN: Final = re.compile(
    r"display\s*+:\s*+none|visibility\s*+:\s*+hidden|mso-hide\s*+:\s*+all"
    r"|(?<![\w-])(?:max-height|opacity)\s*+:\s*+0(?:\.0*+)?+(?:px)?+\s*+(?:!important\s*+)?(?:;|\Z)",
    re.IGNORECASE,
)
_MAY_HIDE: Final = re.compile("none|hid|max-height|opacity", re.IGNORECASE)
_QUOTED: Final = re.compile(r""""[^"]*+"|'[^']*+'""")
_HIDDEN_FLAG: Final = re.compile(r"(?:\A|(?<=\s))hidden(?=[\s/=]|\Z)", re.IGNORECASE)
# What pads a preheader: each alone means something between letters, in a run none does.
_PADDING: Final = re.compile(
    "[\u200b\u200c\u034f\ufeff\xad][\u200b\u200c\u034f\ufeff\xad\u2007\xa0 \t\r\n]++"
)
_UNDERLINES: Final = {"h1": "=", "h2": "-"}
_LONGEST_UNDERLINE: Final = 72
_SPACE: Final = re.compile(r"[ \t\n\r\f]+")
_NOT_SPOKEN: Final = re.compile(r"\A(?:https?://|mailto:|tel:)?(?:www\.)?")
_CELL_GAP: Final = " | "
_RULE: Final = "-" * 40
# Deeper quotes and lists stand at this depth, or the indents of 1 MB of <ul> would be gigabytes.
_MAX_DEPTH: Final = 8


def from_html(document: str) -> str:
    """Return readable plain text for an HTML body: LF line ends, links as `text [1]`."""
    text = _read(document, keep_hidden=False)
    # All of it hidden is rather an unclosed tag than an empty letter.
    return text or _read(document, keep_hidden=True)


def _read(document: str, *, keep_hidden: bool) -> str:
    page = _Page()
    hidden, depth = "", 0
    for name, is_end, attributes, text in html_tokens.tags(document):
        if hidden:
            depth += (name == hidden) * (-1 if is_end else 1)
            if depth:
                continue
            hidden = ""
        elif attributes and not keep_hidden and name in _HIDEABLE and not is_end and _hides(attributes):
            hidden, depth = name, 1
            continue
        if name in _ACTED_ON:
            page.tag(name, is_end, attributes)
        if text:
            page.text(text)
    return page.finished()


def _hides(attributes: str) -> bool:
    if not _MAY_HIDE.search(attributes):
        return False
    if _HIDDEN.search(html_tokens.attribute(attributes, "style")):
        return True
    return "hidden" in attributes.lower() and _HIDDEN_FLAG.search(_QUOTED.sub("", attributes)) is not None


class _Page:
    """The text so far: finished lines, and the pieces of the one being written."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pieces: list[str] = []
        self._has_words = False
        self._wants_blank = False
        self._marker = ""
        self._lists: list[int | None] = []
        self._quotes = 0
        self._quoted_before = ""
        self._preformatted = 0
        self._target = ""
        self._label: list[str] = []
        self._notes: dict[str, int] = {}
        self._written = 0  # the last line with words of its own

    def text(self, text: str) -> None:
        text = _PADDING.sub(" ", html_tokens.unescaped(text))
        if not self._preformatted:
            self._add(text)
            return
        first, *others = text.replace("\r\n", "\n").split("\n")
        self._add(first)
        for line in others:
            self._break(keep_empty=True)
            self._add(line)

    def tag(self, name: str, is_end: bool, attributes: str) -> None:
        if name in _PARAGRAPHS:
            self._paragraph(name, is_end)
        elif name in _LINES:
            self._break()
            if name == "li" and not is_end:
                self._marker = self._item()
        elif name in _CELLS:
            if not is_end and self._has_words and self._pieces[-1] != _CELL_GAP:
                self._pieces.append(_CELL_GAP)
        elif name == "a":
            self._end_link()
            if not is_end:
                self._target = _target(html_tokens.attribute(attributes, "href"))
        elif name == "br":
            self._break(keep_empty=True)
        elif name == "img":
            self._add(html_tokens.attribute(attributes, "alt"))

    def finished(self) -> str:
        self._end_link()
        self._break()
        letter = "\n".join(self._lines).strip("\n")
        notes = "\n".join(f"[{number}] {target}" for target, number in self._notes.items())
        return f"{letter}\n\n{notes}" if notes else letter

    def _paragraph(self, name: str, is_end: bool) -> None:
        before = len(self._lines)
        self._break()
        if is_end and name in _UNDERLINES and len(self._lines) > before:
            self._underline(_UNDERLINES[name])
        step = -1 if is_end else 1
        # A list inside a list goes on in its item; everything else stands apart.
        if name not in ("ul", "ol") or len(self._lists) <= is_end:
            self._wants_blank = True
        if name in ("ul", "ol"):
            self._nest(1 if name == "ol" else None, is_end=is_end)
        elif name == "blockquote":
            self._quotes = max(self._quotes + step, 0)
        elif name == "pre":
            self._preformatted = max(self._preformatted + step, 0)
        elif name == "hr" and self._lines:
            self._add(_RULE)
            self._break()
            self._wants_blank = True

    def _underline(self, character: str) -> None:
        line = self._lines[-1]
        if not self._quotes and not self._lists:
            self._lines.append(character * min(len(line), _LONGEST_UNDERLINE))

    def _nest(self, first: int | None, *, is_end: bool) -> None:
        self._marker = ""
        if not is_end:
            self._lists.append(first)
        elif self._lists:
            self._lists.pop()

    def _item(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _end_link(self) -> None:
        if not self._target:
            return
        target, label = self._target, "".join(self._label).strip()
        self._target, self._label = "", []
        if not label:
            self._add(target)
        elif _says(label, target):
            return
        elif self._has_words:
            note = self._note(target)
            self._pieces.append(note if self._pieces[-1].endswith(" ") else f" {note}")
        elif self._lines:
            # The link was around a block, whose line has ended.
            self._lines[self._written] += f" {self._note(target)}"

    def _note(self, target: str) -> str:
        """Return the mark of a note: the same for the same target."""
        return f"[{self._notes.setdefault(target, len(self._notes) + 1)}]"

    def _add(self, text: str) -> None:
        if not self._preformatted:
            if "  " in text or not text.isprintable():
                text = _SPACE.sub(" ", text)
            if text.startswith(" ") and (not self._pieces or self._pieces[-1].endswith(" ")):
                text = text[1:]
        if not text:
            return
        self._pieces.append(text)
        self._has_words = self._has_words or not text.isspace()
        if self._target:
            self._label.append(text)

    def _break(self, *, keep_empty: bool = False) -> None:
        """End the line; an empty one counts only as a gap, and several gaps as one."""
        if not self._pieces:
            self._wants_blank = self._wants_blank or keep_empty
            return
        line = "".join(self._pieces).replace("\xa0", " ").rstrip()
        line = line if self._preformatted else line.removesuffix(_CELL_GAP.rstrip()).strip()
        self._pieces, self._has_words = [], False
        if not line:
            self._wants_blank = self._wants_blank or keep_empty
            return
        quotes = "> " * min(self._quotes, _MAX_DEPTH)
        if self._wants_blank and self._lines:
            self._lines.append(min(quotes, self._quoted_before).rstrip())
        self._quoted_before = quotes
        depth = min(len(self._lists), _MAX_DEPTH)
        indent = "  " * (depth - 1 if self._marker else depth)
        self._lines.append(f"{quotes}{indent}{self._marker}{line}")
        self._written = len(self._lines) - 1
        self._marker, self._wants_blank = "", False


def _target(href: str) -> str:
    """Return where a link leads, for one that leads somewhere outside the letter."""
    scheme = href[:12].partition(":")[0].lower()
    return _SPACE.sub("", href) if scheme in ("http", "https", "mailto", "tel") else ""


def _says(label: str, target: str) -> bool:
    """Tell whether the link's text is its target already."""
    if " " in label:
        return False
    return _bare(label) in (_bare(target), _bare(target.partition("?")[0]))


def _bare(link: str) -> str:
    return _NOT_SPOKEN.sub("", link.lower()).rstrip("/")
