"""Owns what a client may put into a header field: which names, which characters, how long.

Nothing that could end a header line gets through, so a value can never become a header or a body of its own.
Whatever is bound for a header asks here: subject, display name, custom header, filename, content id.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

MAX_NAME: Final = 76
MAX_VALUE: Final = 8192
MAX_SUBJECT: Final = 998
MAX_HEADERS: Final = 100
MAX_TOGETHER: Final = 64 * 1024  # bytes of names and values: they travel with every record

# RFC 5322 3.6.8: printable ASCII without the colon.
_NAME: Final = re.compile(r"[!-9;-~]+")

# C0 but TAB, DEL, C1 (U+0085 among them), the two Unicode line breaks, and halves of a surrogate pair.
_UNSAFE: Final = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")

_FIELD_OF: Final = {
    "from": "from",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "subject": "subject",
    "sender": "from",
    "reply-to": "reply_to",
    "list-unsubscribe": "unsubscribe",
    "list-unsubscribe-post": "unsubscribe",
    "disposition-notification-to": "tracking.read",
    "return-receipt-to": "tracking.read",
    "x-confirm-reading-to": "tracking.read",
}
_OURS: Final = frozenset(
    {
        "apparently-to",
        "authentication-results",
        "auto-submitted",
        "date",
        "delivered-to",
        "delivery-date",
        "dkim-signature",
        "domainkey-signature",
        "message-id",
        "mime-version",
        "received",
        "received-spf",
        "return-path",
    }
)
_OUR_PREFIXES: Final = ("content-", "arc-", "resent-", "x-sendlog-")

_CHARACTER: Final = {"\r": "a carriage return", "\n": "a line feed", "\0": "a NUL character"}


def check_name(name: str) -> str | None:
    """Say what is wrong with a client's header name, or None if it may be set (RFC 5322 3.6.8)."""
    if not name:
        return "a header needs a name"
    if len(name) > MAX_NAME:
        return f"a header name may have at most {MAX_NAME} characters"
    if not _NAME.fullmatch(name):
        return "a header name may only have printable ASCII characters, no spaces and no colon"
    lowered = name.lower()
    if field := _FIELD_OF.get(lowered):
        return f"{name} may not be set as a custom header; use the field {field}"
    if lowered in _OURS or lowered.startswith(_OUR_PREFIXES):
        return f"{name} may not be set as a custom header; Sendlog writes it itself"
    return None


def too_many(headers: Mapping[str, str]) -> str | None:
    """Say whether these are more than one email may carry, or None."""
    if len(headers) > MAX_HEADERS:
        return f"there may be at most {MAX_HEADERS} headers"
    if (
        sum(
            len(name.encode(errors="replace")) + len(value.encode(errors="replace"))
            for name, value in headers.items()
        )
        > MAX_TOGETHER
    ):
        return f"the headers may have at most {MAX_TOGETHER} bytes together, names and values"
    return None


def problems(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each header that may not be written so, and why; two spellings of one name are twice it."""
    seen: set[str] = set()
    for name, value in headers.items():
        if problem := check_name(name) or check_value(value):
            yield name, problem
        elif name.lower() in seen:
            yield name, "is there twice, in another spelling"
        seen.add(name.lower())


def check_value(value: str, limit: int = MAX_VALUE) -> str | None:
    """Say what is wrong with a text bound for a header, or None; `limit` is in characters."""
    if len(value) > limit:
        return f"is longer than {limit} characters"
    if value.isprintable():
        return None
    found = _UNSAFE.search(value)
    return f"must not contain {_named(found.group())}" if found else None


def neutralise(value: str) -> str:
    """Return `value` with everything `check_value` refuses as a space, for text that nobody checked."""
    return value if value.isprintable() else _UNSAFE.sub(" ", value)


def _named(character: str) -> str:
    return _CHARACTER.get(character) or f"the control character U+{ord(character):04X}"
