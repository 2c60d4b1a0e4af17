"""The links of an HTML body that a click can be followed through: what tracking rewrites, and nothing else. Pure.

An address that no browser would fetch (mailto, tel, a place in the page, a part of the mail) stays as it is, and so
does a link that says `data-no-track`.
"""

import re
from typing import Final

from services.gateway import html_tokens

_FOLLOWED: Final = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_NOT_TRACKED: Final = re.compile(r"(?<![^\s\"'/])data-no-track(?![^\s=/>])", re.IGNORECASE)
_VALUES: Final = re.compile(r"""=\s*+("[^"]*+"|'[^']*+')""")


def tracked(html: str) -> list[str]:
    """Return the targets in the order they stand in, as often as they do."""
    found = []
    for tag in html_tokens.tags(html):
        if tag.name not in ("a", "area") or tag.is_end:
            continue
        target = html_tokens.attribute(tag.attributes, "href")
        if _FOLLOWED.match(target) and not _NOT_TRACKED.search(_VALUES.sub("=''", tag.attributes)):
            found.append(target)
    return found
