"""The links of an HTML body: found, and replaced in place, with every other byte left as it was. Pure.

A parser that serialises the document again changes what it was not asked to. Here only the value of an `href`
of `a` and `area` is ever cut out; scripts, styles and comments hold no links, conditional comments do. Read by
the grammar of HTML 13.2.5 in linear time: all that repeats is possessive, so nothing is ever tried twice.
"""

import re
from collections.abc import Callable
from html import escape, unescape
from html.entities import html5
from typing import Final, NamedTuple

import msgspec

_S: Final = rb"[ \t\n\r\f]"
_GAP: Final = rb"[ \t\n\r\f/]*+"
_END_OF_NAME: Final = rb"(?=[ \t\n\r\f/>])"
_VALUE: Final = rb"""(?:"[^"]*+"|'[^']*+'|[^ \t\n\r\f>"'][^ \t\n\r\f>]*+|(?=>))"""
# One whose quote never closes is none, and neither is its tag: all that follows is the value of it.
_ATTRIBUTE: Final = (
    rb"[^ \t\n\r\f/>][^ \t\n\r\f/>=]*+(?:" + _S + rb"*+=" + _S + rb"*+" + _VALUE + rb"|(?!" + _S + rb"*+=))"
)
# Attributes as nearly everybody writes them: the grammar below says the same of them, in twice the time.
_USUAL: Final = rb"""(?: [a-z-]++="[^"]*+")*+"""
_REST: Final = _USUAL + rb"(?:" + _GAP + _ATTRIBUTE + rb")*+" + _GAP + rb">"
_ANCHOR: Final = rb"[aA](?:[rR][eE][aA])?"
_RAW_NAME: Final = rb"(?i:script|style|title|textarea|xmp)"
_NAME: Final = rb"[a-zA-Z][^ \t\n\r\f/>]*+"
# Everything up to a tag that is looked at: text, other tags, declarations; the usual ones first.
_SKIPPED: Final = (
    rb"(?:[^<]*+<(?:"
    rb"(?:[b-ru-wyz][a-z0-9]*+|t[dhr])" + _USUAL + rb"[ /]*+>|/[ac-z][a-z0-9]*+>"
    rb"|(?!(?:" + _ANCHOR + rb"|" + _RAW_NAME + rb")" + _END_OF_NAME + rb")" + _NAME + _REST +
    rb"|/(?!(?i:body)" + _END_OF_NAME + rb")" + _NAME + _REST +
    rb"|(?:!(?!--)|\?|/(?![a-zA-Z]))[^>]*+>|(?![a-zA-Z!?/])"
    rb"))*+[^<]*+"
)  # fmt: skip
_IS_HREF: Final = rb"[hH][rR][eE][fF](?=[ \t\n\r\f/>=])"
_IS_MARKED: Final = rb"(?i:data-no-track)(?=[ \t\n\r\f/>=])"
# What is skipped, and the link behind it if there is one that is not marked: of its value a group.
_LINK: Final = re.compile(
    _SKIPPED + rb"(?:<" + _ANCHOR + _END_OF_NAME
    + rb"(?:" + _GAP + rb"(?!" + _IS_HREF + rb"|" + _IS_MARKED + rb")" + _ATTRIBUTE + rb")*+"
    + _GAP + _IS_HREF + _S + rb"*+=" + _S + rb"*+"
    + rb"""(?:"([^"]*+)"|'([^']*+)'|([^ \t\n\r\f>"'][^ \t\n\r\f>]*+))"""
    + rb"""(?: (?!data-)[a-z-]++="[^"]*+")*+(?:""" + _GAP + rb"(?!" + _IS_MARKED + rb")" + _ATTRIBUTE + rb")*+" + _GAP + rb">)?"
)  # fmt: skip
_UNQUOTED: Final = 3  # the group
_TAG: Final = re.compile(rb"</?" + _NAME + _REST)
_RAW: Final = re.compile(rb"<(" + _RAW_NAME + rb")" + _END_OF_NAME)
_RAW_END: Final = {
    name: re.compile(rb"</" + name + _END_OF_NAME, re.IGNORECASE)
    for name in (b"script", b"style", b"title", b"textarea", b"xmp")
}
_BODY_END: Final = re.compile(rb"</(?i:body)")
_HTTP: Final = ("http://", "https://")
_REFERENCE: Final = re.compile(r"&(?:#[0-9xX][0-9a-fA-F]*;?|([a-zA-Z][a-zA-Z0-9]*)(;?)(=?))")
_DROPPED: Final = str.maketrans("", "", "\t\r\n")
_STRIPPED: Final = "".join(map(chr, range(0x21)))
_BARE: Final = re.compile(r"[A-Za-z0-9:/._~?%+-]+")


class Link(msgspec.Struct, frozen=True, gc=False):
    """One link that can be followed: where its value stands in the bytes, and what it says when unescaped."""

    start: int
    end: int
    url: str
    is_quoted: bool


class Found(NamedTuple):
    """The links in their order, and where the last `</body>` that is one begins; -1 where there is none."""

    links: list[Link]
    body_end: int


def found(html: bytes) -> Found:
    """Return every http and https link of an `a` or `area`, but those marked `data-no-track`."""
    links: list[Link] = []
    body_end, hidden_until, at, length = -1, 0, 0, len(html)
    while True:
        tag = _LINK.match(html, at)
        assert tag is not None  # it may be empty, but there is one at every place
        at = tag.end()
        if tag.lastindex is not None:
            link = _link(html, tag, tag.lastindex)
            if link is not None:
                links.append(link)
            continue
        if at == length:
            break
        if html.startswith(b"<!--[if", at):  # what Outlook reads is a document too
            if 0 <= hidden_until <= at:  # asked once for each end: a thousand comments may share one, or none
                hidden_until = html.find(b"-->", at)
        elif _BODY_END.match(html, at) and at >= hidden_until >= 0:
            body_end = at
        past = _past(html, at)
        if past is None:
            break
        at = past
    return Found(links, body_end)


def _past(html: bytes, at: int) -> int | None:
    """Return where reading goes on behind the comment, raw text or tag at `at`; None: nothing more is a tag."""
    if html.startswith(b"<!--", at):
        if html.startswith(b"[if", at + 4):
            return at + 4
        if html.startswith((b"<!-->", b"<!--->"), at):
            return html.index(b">", at) + 1
        end = html.find(b"-->", at + 4)
        return None if end < 0 else end + 3
    tag = _TAG.match(html, at)
    if tag is None:
        return None
    raw = _RAW.match(html, at)
    if raw is None:
        return tag.end()
    close = _RAW_END[raw[1].lower()].search(html, tag.end())
    return None if close is None else close.start()


def _link(html: bytes, tag: "re.Match[bytes]", value: int) -> Link | None:
    start, end = tag.span(value)
    url = html[start:end].decode("utf-8", "replace")
    if "&" in url:
        url = _unescaped(url)
    url = url.strip(_STRIPPED)
    if not url.isprintable():
        url = url.translate(_DROPPED)
    if not url.startswith(_HTTP) and not url[:8].lower().startswith(_HTTP):
        return None
    return Link(start, end, url, value != _UNQUOTED)


def _unescaped(value: str) -> str:
    """Return what an attribute's value says, by the rules of HTML 13.2.5.73."""
    if value.count("&") == value.count("&amp;"):
        return value.replace("&amp;", "&")
    return _REFERENCE.sub(_character, value)


def _character(reference: "re.Match[str]") -> str:
    name, semicolon, follows = reference[1], reference[2], reference[3]
    if name is None:
        return unescape(reference[0])
    if semicolon and f"{name};" in html5:
        return html5[f"{name};"] + follows
    # `&copy=1` is a parameter, though `&copy` is a character: in attributes what goes on is none.
    if not semicolon and not follows and name in html5:
        return html5[name]
    if semicolon and name in html5:
        return f"{html5[name]};{follows}"
    return reference[0]


def rewritten(html: bytes, replace: Callable[[Link], str | None], tail: bytes = b"") -> bytes:
    """Return the document with each link's value replaced by what `replace` gives (None: left as it was).

    `tail` is put before the last `</body>`, else at the end.
    """
    out: list[bytes] = []
    at = 0
    links, body_end = found(html)
    for link in links:
        if at <= body_end < link.start:
            out += (html[at:body_end], tail)
            at, tail = body_end, b""
        url = replace(link)
        if url is not None:
            out += (html[at : link.start], _written(url, link.is_quoted))
            at = link.end
    if tail and body_end >= at:
        out += (html[at:body_end], tail)
        at, tail = body_end, b""
    out += (html[at:], tail)
    return b"".join(out)


def _written(url: str, is_quoted: bool) -> bytes:
    if _BARE.fullmatch(url):
        return url.encode("ascii")
    value = escape(url, quote=True).encode()
    return value if is_quoted else b'"' + value + b'"'
