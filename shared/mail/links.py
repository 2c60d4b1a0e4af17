"""The links of an HTML body: found, and replaced in place, with every other character left as it was. Pure.

A parser that serialises the document again changes what it was not asked to. Here only the value of an `href`
of `a` and `area` is ever cut out; scripts, styles and comments hold no links, conditional comments do. Read by
the grammar of HTML 13.2.5 in linear time: all that repeats is possessive, so nothing is ever tried twice.
"""

import re
from collections.abc import Iterable
from html import unescape
from html.entities import html5
from typing import Final, NamedTuple

import msgspec

from shared.mail import urls

_S: Final = r"[ \t\n\r\f]"
_GAP: Final = r"[ \t\n\r\f/]*+"
_END_OF_NAME: Final = r"(?=[ \t\n\r\f/>])"
_VALUE: Final = r"""(?:"[^"]*+"|'[^']*+'|[^ \t\n\r\f>"'][^ \t\n\r\f>]*+|(?=>))"""
# One whose quote never closes is none, and neither is its tag: all that follows is the value of it.
_ATTRIBUTE: Final = (
    r"[^ \t\n\r\f/>][^ \t\n\r\f/>=]*+(?:" + _S + r"*+=" + _S + r"*+" + _VALUE + r"|(?!" + _S + r"*+=))"
)
# Attributes as nearly everybody writes them: the grammar below says the same of them, in twice the time.
_USUAL: Final = r"""(?: [a-z-]++="[^"]*+")*+"""
_REST: Final = _USUAL + r"(?:" + _GAP + _ATTRIBUTE + r")*+" + _GAP + r">"
_ANCHOR: Final = r"[aA](?:[rR][eE][aA])?"
_RAW_NAME: Final = r"(?ai:script|style|title|textarea|xmp)"
_NAME: Final = r"[a-zA-Z][^ \t\n\r\f/>]*+"
# Everything up to a tag that is looked at: text, other tags, declarations; the usual ones first.
_SKIPPED: Final = (
    r"[^<]*+(?:<(?:"
    r"/[ac-z][a-z0-9]*+>|(?:[b-ru-wyz]|t[abdfhrt]|s[mpu])[a-z0-9]*+" + _USUAL + r"[ /]*+>"
    r"|(?!(?:" + _ANCHOR + r"|" + _RAW_NAME + r")" + _END_OF_NAME + r")" + _NAME + _REST +
    r"|/(?!(?ai:body)" + _END_OF_NAME + r")" + _NAME + _REST +
    r"|(?:!(?!--)|\?|/(?![a-zA-Z]))[^>]*+>|(?![a-zA-Z!?/])"
    r")[^<]*+)*+"
)  # fmt: skip
_IS_HREF: Final = r"[hH][rR][eE][fF](?=[ \t\n\r\f/>=])"
_IS_MARKED: Final = r"(?ai:data-no-track)(?=[ \t\n\r\f/>=])"
# A link as nearly everybody writes it: its URL is asked for as it is, its other attributes are none of the above.
_READY: Final = rf"https?://{urls.HOST}(?:[/?#][{urls.REST}]*+(?:&amp;[{urls.REST}]*+)*+)?"
_OTHER: Final = r'[a-ce-gi-z][a-z-]*+="[^"]*+"'
# What is skipped, and the link behind it if there is one that is not marked: of its value a group.
_LINK: Final = re.compile(
    _SKIPPED
    + r"(?:<a (?:" + _OTHER + _S + r"++)*+" + r'href="(' + _READY + r')"(?:' + _S + r"++" + _OTHER + r")*+>"
    + r"|<" + _ANCHOR + _END_OF_NAME
    + r"(?:" + _GAP + r"(?!" + _IS_HREF + r"|" + _IS_MARKED + r")" + _ATTRIBUTE + r")*+"
    + _GAP + _IS_HREF + _S + r"*+=" + _S + r"*+"
    + r"""(?:"([^"]*+)"|'([^']*+)'|([^ \t\n\r\f>"'][^ \t\n\r\f>]*+))"""
    + r"(?:" + _GAP + r"(?!" + _IS_MARKED + r")" + _ATTRIBUTE + r")*+" + _GAP + r">)?"
)  # fmt: skip
_AS_IT_IS: Final = 1  # the group
_UNQUOTED: Final = 4
_TAG: Final = re.compile(r"</?" + _NAME + _REST)
_RAW: Final = re.compile(r"<(" + _RAW_NAME + r")" + _END_OF_NAME)
_RAW_END: Final = {
    name: re.compile(r"</" + name + _END_OF_NAME, re.IGNORECASE | re.ASCII)
    for name in ("script", "style", "title", "textarea", "xmp")
}
_BODY_END: Final = re.compile(r"</(?ai:body)")
_HTTP: Final = ("http://", "https://")
_REFERENCE: Final = re.compile(r"&(?:#[0-9xX][0-9a-fA-F]*;?|([a-zA-Z][a-zA-Z0-9]*)(;?)(=?))")
_DROPPED: Final = str.maketrans("", "", "\t\r\n")
_STRIPPED: Final = "".join(map(chr, range(0x21)))
_BARE: Final = re.compile(r"[A-Za-z0-9:/._~?%+-]+")


class Link(msgspec.Struct, frozen=True, gc=False):
    """One link: where its value stands in the document, what it says when unescaped, and what a browser asks for.

    `target` is None where it leads nowhere.
    """

    start: int
    end: int
    url: str
    target: str | None
    is_quoted: bool


class Found(NamedTuple):
    """The links in their order, and where the last `</body>` that is one begins; -1 where there is none."""

    links: list[Link]
    body_end: int


def found(html: str) -> Found:
    """Return every http and https link of an `a` or `area`, but those marked `data-no-track`."""
    links: list[Link] = []
    body_end, hidden_until, at, length = -1, 0, 0, len(html)
    while True:
        tag = _LINK.match(html, at)
        assert tag is not None  # it may be empty, but there is one at every place
        at = tag.end()
        if tag.lastindex is not None:
            link = _link(tag, tag.lastindex)
            if link is not None:
                links.append(link)
            continue
        if at == length:
            break
        if html.startswith("<!--[if", at):  # what Outlook reads is a document too
            if 0 <= hidden_until <= at:  # asked once for each end: a thousand comments may share one, or none
                hidden_until = html.find("-->", at)
        elif _BODY_END.match(html, at) and at >= hidden_until >= 0:
            body_end = at
        past = _past(html, at)
        if past is None:
            break
        at = past
    return Found(links, body_end)


def _past(html: str, at: int) -> int | None:
    """Return where reading goes on behind the comment, raw text or tag at `at`; None: nothing more is a tag."""
    if html.startswith("<!--", at):
        if html.startswith("[if", at + 4):
            return at + 4
        if html.startswith(("<!-->", "<!--->"), at):
            return html.index(">", at) + 1
        end = html.find("-->", at + 4)
        return None if end < 0 else end + 3
    tag = _TAG.match(html, at)
    if tag is None:
        return None
    raw = _RAW.match(html, at)
    if raw is None:
        return tag.end()
    close = _RAW_END[raw[1].lower()].search(html, tag.end())
    return None if close is None else close.start()


def _link(tag: "re.Match[str]", value: int) -> Link | None:
    start, end = tag.span(value)
    if value == _AS_IT_IS:
        url = tag[value].replace("&amp;", "&")
        return Link(start, end, url, url, True)
    url = _unescaped(tag[value]).strip(_STRIPPED)
    if not url.isprintable():
        url = url.translate(_DROPPED)
    if not url[:8].lower().startswith(_HTTP):
        return None
    return Link(start, end, url, urls.requested(url), value != _UNQUOTED)


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


def rewritten(html: str, found: Found, values: Iterable[str | None], tail: str = "") -> str:
    """Return the document with the value of each link found in it replaced (None: left as it was).

    A value is given as it stands between quotes. `tail` is put before the last `</body>`, else at the end.
    """
    out: list[str] = []
    at = 0
    links, body_end = found
    for link, value in zip(links, values, strict=True):
        if at <= body_end < link.start:
            out += (html[at:body_end], tail)
            at, tail = body_end, ""
        if value is not None:
            out += (html[at : link.start], value if link.is_quoted else _quoted(value))
            at = link.end
    if tail and body_end >= at:
        out += (html[at:body_end], tail)
        at, tail = body_end, ""
    out += (html[at:], tail)
    return "".join(out)


def _quoted(value: str) -> str:
    return value if _BARE.fullmatch(value) else f'"{value}"'
