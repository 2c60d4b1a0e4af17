"""Taking a report apart: what its author wrote for people, and what came back of the message it is about. Pure.

Where the returned message begins in a text without parts, MTAs say in a hundred ways; past that line nothing
is the reporter's word.
"""

import re
from typing import Final

from services.tracker import mime

_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{"
    r"|}~.\x80-\U0010ffff-]{1,64}@[A-Za-z0-9\x80-\U0010ffff-]{1,63}(?:\.[A-Za-z0-9\x80-\U0010ffff-]{1,63}){0,8}"
)
_RETURNED: Final = re.compile(
    r"""^[ \t>|*=_.\#-]{0,80}(?:
        (?:below\ (?:this\ line\ )?is|this\ is|here\ is|following\ is|attached\ is
            |the\ following\ is)\ (?:a|the)\ (?:copy|text|header|original|start|beginning|first)
        |below\ this\ line\b|(?:the\ )?(?:original|returned|undelivered|unsent|rejected
            |failed)\ (?:e-?mail\ |mail\ )?(?:message|mail|text|headers?|e-?mail)(?:\ (?:follows
            |headers?|below|text|body|was|is\ attached|details|starts?\ here|information))?
        |message\ (?:header|headers|text|contents?|body|follows|copy)\b|unsent\ message
            |header(?:s)?\ (?:of|from)\ (?:the\ )?(?:original|message)
            |your\ (?:original\ )?message\ (?:follows|reads|header|text|was)
        |(?:the\ )?(?:first|start)\ .{0,20}(?:lines|bytes)\ of|content-type:\ message/rfc822
        |(?:return-path|received|x-apparently-to|delivered-to)[ \t]*:[ \t]*\S
    )[^\n]{0,100}$""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)


def addresses(text: str) -> list[str]:
    """Return every address in the text once, in order, without its trailing full stop."""
    return list(dict.fromkeys(found.rstrip(".") for found in _ADDRESS.findall(text[: mime.MAX_TEXT])))


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
            html.append(_from_html(part.text()))
    whole = "\n\n".join(texts) if any(text.strip() for text in texts) else "\n\n".join(html)
    marker = _RETURNED.search(whole)
    if marker and whole[: marker.start()].strip():
        return whole[: marker.start()], whole[marker.start() :]
    return whole, ""


def _from_html(html: str) -> str:
    text = re.sub(
        r"<(?:style|script)\b[^>]{0,2000}>.{0,100000}?</(?:style|script)>",
        " ",
        html,
        flags=re.IGNORECASE | re.DOTALL,
    )
    text = re.sub(r"<(?:br|p|div|tr|li|h\d|table)\b[^>]{0,2000}>", "\n", text, flags=re.IGNORECASE)
    text = re.sub(r"<[^<>]{0,5000}>", " ", text)
    for name, sign in (
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", '"'),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ):
        text = text.replace(name, sign)
    return re.sub(r"[ \t]{2,}", " ", text)


def header_of(message: mime.Part, tail: str) -> list[tuple[str, str]]:
    """Return the header fields of the message that came back, wherever the reporter put them."""
    for part in message.walk():
        if part is message:
            continue
        if part.kind in ("message/rfc822", "message/global") and part.parts:
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
