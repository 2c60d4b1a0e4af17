"""Taking a report apart: what its author wrote for people, and what came back of the message it is about. Pure.

Where the returned message begins in a text without parts, MTAs say in a hundred ways; past that line nothing
is the reporter's word.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from services.tracker import mime

# More than any reporter writes; past it stands at most more of what came back.
MAX_WORDS: Final = 96 * 1024
_MAX_MARKS: Final = 100
# Letters beside ASCII (RFC 6531): of alphabets, and of scripts that are written without spaces. The latter are
# part of a name only where it is all theirs: beside a Latin one they are the sentence it stands in.
_ALPHABETS: Final = "\xc0-\u1fff"
_SPACELESS: Final = "\u2e80-\u2fff\u3040-\ufdff\U00020000-\U0003ffff"
_LATIN_LOCAL: Final = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.{_ALPHABETS}-]{{1,64}}"
_LATIN_LABEL: Final = rf"[A-Za-z0-9{_ALPHABETS}-]{{1,63}}"
_SPACELESS_LABEL: Final = rf"[0-9{_SPACELESS}-]{{1,63}}"
ADDRESS: Final = re.compile(
    rf"(?:{_LATIN_LOCAL}|[0-9._{_SPACELESS}-]{{1,64}})@"
    rf"(?:{_LATIN_LABEL}(?:\.{_LATIN_LABEL}){{0,8}}|{_SPACELESS_LABEL}(?:\.(?:{_LATIN_LABEL}|{_SPACELESS_LABEL})){{1,8}})"
)
# "ann"@x.example is ann@x.example (RFC 5321 4.1.2).
_QUOTED_LOCAL: Final = re.compile(r'"((?:[^"\\\s@]|\\[^\s@]){1,64})"@')
_ENCLOSING: Final = ("message/rfc822", "message/global", "message/news")
# X.400 gateways write an address's type into it (RFC 2156); nobody's local part begins with it.
_TYPED: Final = re.compile(r"^(?:SMTP|RFC-?822)[=:]")
_CODE_BEGINS: Final = re.compile(r"<(style|script)\b")
_BLOCK: Final = re.compile(r"<(?:br|p|div|tr|li|h\d|table)\b[^<>]{0,2000}>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]{0,5000}>")
_BLANKS: Final = re.compile(r"[ \t]{2,}")
_ENTITIES: Final = (
    ("&nbsp;", " "),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&#39;", "'"),
    ("&amp;", "&"),
)
# Lines after which the returned message begins, whatever follows.
_RETURNED: Final = re.compile(
    r"""^[ \t>|*=_.\#-]{0,80}(?:
        (?:below\ (?:this\ line\ )?is|this\ is|here\ is|following\ is|attached\ is
            |the\ following\ is)\ (?:a|the)\ (?:copy|text|header|original|start|beginning|first)
        |below\ (?:this|the\ next)\ line\b
        |(?:original|returned|undelivered|unsent|rejected|failed|your)\ (?:e-?mail\ |mail\ )?(?:message|mail|text
            |headers?|e-?mail)(?:\ (?:headers?|text|body))?\ (?:follows|below|starts?\ here|is\ attached)
        |unsent\ message\b|message\ (?:header|headers|text|contents?|body)?\ ?follows
        |(?:the\ )?headers?\ (?:of|from)\ (?:the\ )?(?:original|source|returned)?\ ?(?:message|mail)
        |(?:the\ )?(?:first|start)\ .{0,20}(?:lines|bytes)\ of|content-type:\ message/rfc822
        |-{2,40}\ {0,3}(?:original|forwarded|returned|undelivered)\ (?:message|mail)\b
        |-{3,40}\ {0,3}(?:mensaje\ original|message\ original|urspr\w{1,10}gliche\ nachricht)
    )[^\n]{0,100}$""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
# What an email was called is no word of whoever reports on it.
_SUBJECT: Final = re.compile(
    r"^[ \t>*|\"-]{0,12}(?:with (?:the )?)?(?:subject|betreff|objet|sujet|asunto|assunto|oggetto|onderwerp|temat|тема|件名|主题|主旨|제목)"
    r"\s{0,3}[:：][^\n]{0,1000}$",
    re.IGNORECASE | re.MULTILINE,
)
# Lines that may introduce it: they do where a header follows.
_MAYBE_RETURNED: Final = re.compile(
    r"""^[ \t>|*=_.\#-]{0,80}(?:
        (?:the\ )?(?:original|returned|undelivered|unsent|rejected|failed|your)\ (?:original\ )?(?:e-?mail\ |mail\ )?(?:message
            |mail|text|headers?|e-?mail)\b[^\n]{0,60}
        |message\ (?:header|headers|text|contents?|body|copy|details)\b[^\n]{0,60}
        |(?:return-path|received|x-apparently-to|delivered-to)[ \t]*:[ \t]*\S[^\n]{0,300}
    )$""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_HEADER_SOON: Final = re.compile(
    r"(?:[^\n]{0,300}\n){0,5}?[ \t>|]{0,8}(?:received|return-path|from|date|message-id|mime-version|delivered-to"
    r"|x-[\w-]{1,40}|dkim-signature)[ \t]*:[ \t]*\S",
    re.IGNORECASE,
)


def addresses(text: str) -> list[str]:
    """Return every address in the text once, in order, without its trailing full stop."""
    if "@" not in text:
        return []
    plain = unquoted(text[: mime.MAX_TEXT])
    found = (_TYPED.sub("", one.rstrip(".")) for one in ADDRESS.findall(plain))
    return list(dict.fromkeys(one.lstrip("'`") for one in found))


def unquoted(text: str) -> str:
    """Return the text with the quotes taken off local parts that do not need them."""
    return _QUOTED_LOCAL.sub(lambda found: found[1].replace("\\", "") + "@", text)


def outer(message: mime.Part) -> Iterator[mime.Part]:
    """Yield the message and its parts, but nothing of a message that is enclosed in it."""
    yield message
    if message.kind not in _ENCLOSING:
        for part in message.parts:
            yield from outer(part)


def is_receipt(message: mime.Part) -> bool:
    """Say whether the message is a disposition notification (RFC 8098)."""
    return any(part.kind.endswith("disposition-notification") for part in outer(message))


def outer_first(message: mime.Part) -> Iterator[mime.Part]:
    """Yield every part, those of enclosed messages last; what a receipt (RFC 8098) gives back is not its word."""
    own = list(outer(message))
    yield from own
    if not is_receipt(message):
        seen = {id(part) for part in own}
        yield from (part for part in message.walk() if id(part) not in seen)


def words_of(message: mime.Part) -> tuple[str, str]:
    """Return what the reporter wrote for people, and what of the returned message stood in the same text."""
    texts: list[str] = []
    html: list[str] = []
    stack = [message]
    while stack:
        part = stack.pop(0)
        if part.kind.startswith("multipart/") and part.parts:
            stack = [*part.parts, *stack]
        elif (
            part.kind.startswith("multipart/")
            or part.kind == "text/plain"
            or (part.kind == "text/rfc822-headers" and not texts)
        ):
            texts.append(part.text())
        elif part.kind == "text/html":
            html.append(from_html(part.text()))
    whole = "\n\n".join(texts) if any(text.strip() for text in texts) else "\n\n".join(html)
    whole = whole[:MAX_WORDS]
    at = _where_returned(whole)
    return _SUBJECT.sub("", whole[:at]), whole[at:]


def _where_returned(whole: str) -> int:
    """Return where the message that came back begins in a text: nothing that stands first is it."""
    begin = len(whole) - len(whole.lstrip())
    places = [
        found.start() for found in islice(_RETURNED.finditer(whole), _MAX_MARKS) if found.start() > begin
    ]
    for found in islice(_MAYBE_RETURNED.finditer(whole), _MAX_MARKS):
        if found.start() > begin and _HEADER_SOON.match(whole, found.start()):
            places.append(found.start())
            break
    return min(places, default=len(whole))


def from_html(html: str) -> str:
    """Return the text of an HTML body, a line for each block; scripts, styles and markup are left out."""
    text = _TAG.sub(" ", _BLOCK.sub("\n", _without_code(html)))
    for name, sign in _ENTITIES:
        text = text.replace(name, sign)
    return _BLANKS.sub(" ", text)


def _without_code(html: str) -> str:
    kept: list[str] = []
    at = 0
    low = html.lower()
    for found in _CODE_BEGINS.finditer(low):
        if found.start() < at:
            continue
        kept.append(html[at : found.start()])
        end = low.find(f"</{found[1]}", found.end())
        at = len(html) if end < 0 else end
    return "".join([*kept, html[at:]])


def header_of(message: mime.Part, tail: str) -> list[tuple[str, str]]:
    """Return the header fields of the message that came back, wherever the reporter put them."""
    for part in outer_first(message):
        if part is message:
            continue
        if part.kind in _ENCLOSING and part.parts:
            return list(part.parts[0].fields)
        if part.kind in ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
            return list(mime.fields_of(part.text()))
    found = re.search(
        r"^[ \t>|]{0,8}(?:return-path|received|message-id|from|date|to|subject)[ \t]*:",
        tail,
        re.IGNORECASE | re.MULTILINE,
    )
    if not found:
        return []
    lines = tail[found.start() :].split("\n")
    indent = re.match(r"[ \t>|]*", lines[0])
    prefix = indent[0] if indent else ""
    return list(mime.fields_of("\n".join(line.removeprefix(prefix) for line in lines)))
