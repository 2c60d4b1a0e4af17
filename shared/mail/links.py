"""The links of an HTML body: found, and replaced in place, with every other byte left as it was. Pure.

A parser that serialises the document again changes what it was not asked to. Here only the value of an `href`
of `a` and `area` is ever cut out; scripts, styles and comments hold no links, conditional comments do.
"""

import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from typing import Final, NamedTuple

_RAW: Final = (b"<!--", b"<script", b"<style", b"<textarea", b"<title", b"<xmp")
_ATTRIBUTE: Final = re.compile(
    rb"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""", re.DOTALL
)
# Nothing to unescape and nothing that HTML drops: most links.
_PLAIN: Final = re.compile(rb"[!-%'-~]+")
_DROPPED: Final = str.maketrans("", "", "\t\r\n")
MAX_TAG: Final = 64 * 1024
_BARE: Final = re.compile(r"[A-Za-z0-9:/._~?%+-]+")


class Link(NamedTuple):
    """One link that can be followed: where its value stands in the bytes, and what it says when unescaped."""

    start: int
    end: int
    url: str
    is_quoted: bool


def found(html: bytes) -> Iterator[Link]:
    """Yield every http and https link of an `a` or `area`, in order, but those marked `data-no-track`."""
    low = html.lower()
    regions = _regions(low)
    skip = next(regions, None)
    at = low.find(b"<a")
    while at >= 0:
        while skip is not None and skip[1] <= at:
            skip = next(regions, None)
        if skip is not None and skip[0] <= at:
            at = low.find(b"<a", skip[1])
            continue
        name = 5 if low.startswith(b"area", at + 1) else 2
        end = at + name
        if low[end : end + 1] in (b" ", b"\t", b"\n", b"\r", b"\f", b"/"):
            link, end = _link(html, low, end)
            if link is not None:
                yield link
        at = low.find(b"<a", end)


def _link(html: bytes, low: bytes, at: int) -> tuple[Link | None, int]:
    """Read one tag's attributes from `at`; return its link if it has one to follow, and where the tag ended."""
    link: Link | None = None
    tracked = True
    seen_href = False
    limit = min(len(html), at + MAX_TAG)
    while at < limit:
        read = _ATTRIBUTE.match(html, at, limit)
        if read is None:
            break
        name = read[1].lower()
        if name == b"data-no-track":
            tracked = False
        elif name == b"href" and not seen_href:  # of two equal attributes the first one counts
            seen_href = True
            link = _value(read)
        at = read.end()
    close = low.find(b">", at, limit)
    if close < 0:  # a tag that never ends is none
        return None, at
    return (link if tracked else None), close + 1


def _value(read: "re.Match[bytes]") -> Link | None:
    group = next((number for number in (2, 3, 4) if read[number] is not None), 0)
    if not group:
        return None
    value = read[group]
    if _PLAIN.fullmatch(value):
        url = value.decode("ascii")
    else:
        url = unescape(value.decode("utf-8", "replace")).strip(" \t\r\n\f").translate(_DROPPED)
    if url[:8].lower().startswith(("http://", "https://")):
        return Link(read.start(group), read.end(group), url, group != 4)
    return None


def _regions(low: bytes) -> Iterator[tuple[int, int]]:
    """Yield where no tag is a tag: comments, scripts, styles and the like, in order, not overlapping."""
    nearest = {mark: low.find(mark) for mark in _RAW}
    at = 0
    while True:
        for mark, place in nearest.items():
            if 0 <= place < at:
                nearest[mark] = low.find(mark, at)
        places = [(place, mark) for mark, place in nearest.items() if place >= 0]
        if not places:
            return
        start, mark = min(places)
        if mark != b"<!--":
            end = low.find(b"</" + mark[1:], start)
        elif low.startswith(b"<!--[if", start):  # what Outlook reads is a document too
            at = start + 4
            continue
        else:
            end = start + 4 if low.startswith(b"<!-->", start) else low.find(b"-->", start + 4)
        at = len(low) if end < 0 else end + 2
        yield start, at


def rewritten(html: bytes, replace: Callable[[Link], str | None], tail: bytes = b"") -> bytes:
    """Return the document with each link's value replaced by what `replace` gives (None: left as it was).

    `tail` is put before the last `</body>`, else at the end.
    """
    out: list[bytes] = []
    at = 0
    for link in found(html):
        url = replace(link)
        if url is not None:
            out += (html[at : link.start], _written(url, link.is_quoted))
            at = link.end
    out.append(html[at:])
    document = b"".join(out)
    return _with_tail(document, tail) if tail else document


def _written(url: str, is_quoted: bool) -> bytes:
    if _BARE.fullmatch(url):
        return url.encode("ascii")
    value = escape(url, quote=True).encode()
    return value if is_quoted else b'"' + value + b'"'


def _with_tail(document: bytes, tail: bytes) -> bytes:
    low = document.lower()
    place = low.rfind(b"</body")
    for start, end in _regions(low):
        if start <= place < end:
            place = low.rfind(b"</body", 0, start)
            break
    return document + tail if place < 0 else document[:place] + tail + document[place:]
