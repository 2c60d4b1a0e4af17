"""Owns cutting HTML into tags and text, for any input, in linear time.

The stdlib's html.parser takes minutes for 100 KB of `<a <a <a` on the Pythons we support; an API that reads
clients' HTML cannot wait for that. So every search here either advances or is never tried again.
"""

import html
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

# HTML 13.1.2: what is inside these is no text of the document.
_SILENT: Final = {
    name: re.compile(rf"</{name}(?=[\s/>])[^>]*+>?", re.IGNORECASE)
    for name in (
        "script",
        "style",
        "title",
        "template",
        "textarea",
        "iframe",
        "noembed",
        "noframes",
        "xmp",
        "svg",
    )
}
_END_OF_HEAD: Final = re.compile(r"</head\s*+>|(?=<body[\s>])", re.IGNORECASE)

# Possessive, so that a quote that is never closed is found out once and not split in every possible way.
_START: Final = r"<(/?+)([A-Za-z][^\s/>]*+)"
_TAG: Final = re.compile(_START + r"""((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>([^<]*+)""")
_TAG_WITH_OPEN_QUOTE: Final = re.compile(_START + r"([^>]*+)>([^<]*+)")
_OPENS: Final = re.compile(r"</?[A-Za-z]")
# Any other `<` is text: "1 < 2".
_TEXT: Final = re.compile(r"(?:[^<]++|<(?![A-Za-z/!?]))++")
_ATTRIBUTE: Final = re.compile(r"""([^\s"'>/=]++)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++)""")
_HUGE_REFERENCE: Final = re.compile(r"&#\d{8,}+;?")


class Tag(NamedTuple):
    """One tag and the text behind it, as written; text that stands behind no tag has an empty name."""

    name: str
    is_end: bool
    attributes: str
    text: str


def tags(document: str) -> Iterator[Tag]:
    """Yield tags in order, without comments, declarations, head, scripts and styles; never raises."""
    position = 0
    pattern = _TAG
    head_may_come = True
    while position < len(document):
        if found := pattern.match(document, position):
            slash, name, attributes, text = found.groups()
            name = name.lower()
            if slash or not (name in _SILENT or (name == "head" and head_may_come)):
                position = found.end()
                yield Tag(name, slash != "", attributes, text)
            else:
                head_may_come = head_may_come and name != "head"
                position = _after_silence(document, name, found.start(4))
        elif found := _TEXT.match(document, position):
            position = found.end()
            yield Tag("", False, "", found.group())
        elif not _OPENS.match(document, position):
            position = _after_no_tag(document, position)
        elif pattern is _TAG:
            # A quote that is never closed: from here on a tag ends at the next `>`, quoted or not.
            pattern = _TAG_WITH_OPEN_QUOTE
        else:
            return


def attribute(attributes: str, name: str) -> str:
    """Return an attribute's value, or an empty string; the first counts, as in browsers."""
    for found in _ATTRIBUTE.finditer(attributes):
        if found[1].lower() == name:
            value = found[2]
            return unescaped(value[1:-1] if value[0] in "\"'" else value).strip()
    return ""


def unescaped(text: str) -> str:
    """Resolve character references; one with thousands of digits is no character, nor an error."""
    return html.unescape(_HUGE_REFERENCE.sub("\N{REPLACEMENT CHARACTER}", text)) if "&" in text else text


def _after_silence(document: str, name: str, start: int) -> int:
    """Return where an element ends whose content is no text; a head that never ends hides nothing."""
    found = (_END_OF_HEAD if name == "head" else _SILENT[name]).search(document, start)
    if found:
        return found.end()
    return start if name == "head" else len(document)


def _after_no_tag(document: str, start: int) -> int:
    """Return where a comment or a declaration ends; one that is never closed lasts to the end."""
    if document.startswith("<!--", start):
        found = document.find("-->", start + 2)
        return found + 3 if found >= 0 else len(document)
    found = document.find(">", start)
    return found + 1 if found >= 0 else len(document)
