"""Owns how much moving styles into tags would copy: each rule's declarations once per tag that it may match. Pure.

It is told too high rather than too low: whatever is not plainly a name, a class or an id counts as any tag, and a
sheet that other parsers may read otherwise counts as a whole, at every tag.
"""

import re
from collections import Counter
from typing import Final, NamedTuple

# Comments go and strings lose their braces before rules are looked for.
_COMMENT: Final = re.compile(r"/\*.*?\*/|\"[^\"\n\f\r]*\"|'[^'\n\f\r]*'|<!--|-->", re.DOTALL)
_UNCLEAR: Final = re.compile(r"[\"'&]|/\*")
_ODD: Final = re.compile(r"\\|url\(\s*+(?![\"'])[^)]*?(?:/\*|[{}\"'])", re.IGNORECASE)
_PRELUDE: Final = re.compile(r"@(?:media|font-face|supports|charset|import|page)\b[^{};]*[{;]", re.IGNORECASE)
_RULE: Final = re.compile(r"([^{}]*)\{([^{}]*)\}")
_COMPOUND: Final = re.compile(r"([a-z][a-z0-9-]*)?((?:[.#][\w-]+)*)(?:::?[\w-]+)*", re.IGNORECASE | re.ASCII)
_PLACE: Final = re.compile(r"[.#][\w-]+", re.ASCII)
_COMBINATOR: Final = re.compile(r"[\s>+~]+")
_TAG: Final = re.compile(r"<([A-Za-z][^\s/<>]*)")
_CLASS: Final = re.compile(r"class=(?=\"([^\"]*)\")")
_ID: Final = re.compile(r"id=(?=\"([^\"]*)\")")


class Tags(NamedTuple):
    """How many tags there are in a document, and how many of each name, `.class` and `#id`."""

    all: int
    of: Counter[str]


def tags_in(document: str) -> Tags:
    """Count what stands in a document that a parser has written."""
    names = _TAG.findall(document.lower())
    found = Counter(names)
    for text in _CLASS.findall(document):
        found.update(f".{one}" for one in set(text.lower().split()))
    found.update(f"#{text.lower()}" for text in _ID.findall(document))
    return Tags(len(names), found)


def copied(styles: list[str], tags: Tags) -> int:
    """Return how many characters the styles come to when they stand in the tags."""
    return sum(_of_sheet(style.partition(">")[2], tags) for style in styles)


def _of_sheet(style: str, tags: Tags) -> int:
    bare = _COMMENT.sub(lambda found: "" if found[0][0] not in "\"'" else "s" * len(found[0]), style)
    if _UNCLEAR.search(bare) or _ODD.search(style):
        return len(style) * tags.all
    bare = _PRELUDE.sub("", bare)
    size = sum(_matched(rule[1], tags) * _length(rule[2]) for rule in _RULE.finditer(bare))
    rest = _RULE.sub("", bare).replace("}", "")
    return size + len("".join(rest.split())) * tags.all


def _length(declarations: str) -> int:
    return len(declarations.strip()) + declarations.count(";") + declarations.count(":")


def _matched(selectors: str, tags: Tags) -> int:
    """Return how many tags a rule is for, at most."""
    return min(tags.all, sum(_of_selector(one.strip(), tags) for one in selectors.split(",")))


def _of_selector(selector: str, tags: Tags) -> int:
    found = _COMPOUND.fullmatch(_COMBINATOR.split(selector)[-1])
    if found is None:
        return tags.all
    wanted = _PLACE.findall(found[2].lower()) + ([found[1].lower()] if found[1] else [])
    return min((tags.of[one] for one in wanted), default=tags.all)
