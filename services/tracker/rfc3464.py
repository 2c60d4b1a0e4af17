"""Delivery status notifications (RFC 3464; internationalised, RFC 6533): the machine-readable part, read.

A field is taken for what it says and nothing is concluded here; what a reporter left out stays empty.
"""

import re
from typing import Final

import msgspec

from services.tracker import mime, returned

KINDS: Final = ("message/delivery-status", "message/global-delivery-status")
_UTF8: Final = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")
_ACTION: Final = re.compile(r"\s*([A-Za-z]{5,9})")
_STATUS: Final = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})")
# An Internet address inside an X.400 one, in its printable letters (RFC 2156 4.1).
_X400: Final = re.compile(r"(?:/|;|^)(?:DD[A:.]{0,2})?(?:RFC-?822|SMTP)=([^/;]{3,320})", re.IGNORECASE)
_BRACKETED: Final = re.compile(r"<([^<>\s]{1,255}@[^<>\s]{1,255})>")
_TYPE_TWICE: Final = re.compile(
    r"^(\s{0,8}rfc822\s{0,8};\s{0,8})(?:rfc822\s{0,8};\s{0,8}){1,3}", re.IGNORECASE
)
_PRINTABLE: Final = re.compile(r"\(([apuqlr])\)", re.IGNORECASE)
_SIGNS: Final = {"a": "@", "p": "%", "u": "_", "q": '"', "l": "(", "r": ")"}
_IN_TEXT: Final = re.compile(r"^([ \t>|]{0,12})(?:Final|Original)-Recipient:", re.IGNORECASE | re.MULTILINE)
_QUOTE: Final = re.compile(r"^[ \t>|]{0,12}", re.MULTILINE)
ACTIONS: Final = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})


class Recipient(msgspec.Struct, frozen=True):
    """One recipient's group of fields. Addresses as they were given, without their type.

    `actual` is whom a forwarding system says it handed the message to, where it says so (X-Actual-Recipient).
    """

    final: str
    original: str
    action: str
    status: str
    diagnostic: str
    remote_mta: str
    actual: str = ""


class Status(msgspec.Struct, frozen=True):
    """The whole notification. `envid` is decoded from xtext (RFC 3461 4).

    `is_outer`: the message itself says it, and not one that is enclosed in it.
    """

    envid: str
    reporting_mta: str
    recipients: tuple[Recipient, ...]
    is_outer: bool = True


def find(message: mime.Part) -> Status | None:
    """Return the message's delivery status, or None when no part is one."""
    outer = {id(part) for part in returned.outer(message)}
    for part in returned.outer_first(message):
        # Gateways that do not know the type hand it on as a file.
        if part.kind in KINDS or (
            part.kind == "application/octet-stream" and part.body()[:14].lower() == b"reporting-mta:"
        ):
            status = read(part.text())
            if status.recipients:
                return msgspec.structs.replace(status, is_outer=id(part) in outer)
    return None


def in_text(words: str) -> Status | None:
    """Return the status whose fields stand in a text for people, quoted or not, or None when none do."""
    first = _IN_TEXT.search(words)
    if first is None:
        return None
    status = read(_QUOTE.sub("", words[max(0, first.start() - 1000) :]))
    named = tuple(
        one for one in status.recipients if one.action in ACTIONS and "@" in one.final + one.original
    )
    return Status(status.envid, status.reporting_mta, named) if named else None


def read(text: str) -> Status:
    """Read the groups of fields: the first tells about the message, each further one about a recipient.

    Reporters forget the empty line between groups, or leave one too many: a group begins anew with a field
    that the group has already.
    """
    groups = [fields for block in re.split(r"\n[ \t]*\n", text.strip("\n")) for fields in _groups(block)]
    head: dict[str, str] = {}
    recipients: list[Recipient] = []
    for fields in groups:
        if {"final-recipient", "original-recipient", "action", "status", "diagnostic-code"} & fields.keys():
            recipients.append(_recipient(fields))
        for name, value in fields.items():
            head.setdefault(name, value)
    named = tuple(one for one in recipients if one.final or one.original)
    return Status(
        envid=_from_xtext(head.get("original-envelope-id", "").strip()),
        reporting_mta=after_type(head.get("reporting-mta", "")),
        recipients=named or tuple(recipients),
    )


def _groups(block: str) -> list[dict[str, str]]:
    groups: list[dict[str, str]] = [{}]
    for name, value in mime.fields_of(block):
        if name in groups[-1] and name in ("final-recipient", "action"):
            groups.append({})
        groups[-1].setdefault(name, value)
    return [group for group in groups if group]


def _recipient(fields: dict[str, str]) -> Recipient:
    action = _ACTION.match(fields.get("action", ""))
    status = _STATUS.match(fields.get("status", ""))
    return Recipient(
        final=address(fields.get("final-recipient", "")),
        original=address(fields.get("original-recipient", "")),
        action=action[1].lower() if action else "",
        status=status[1] if status else "",
        diagnostic=after_type(fields.get("diagnostic-code", "")),
        remote_mta=after_type(fields.get("remote-mta", "")),
        actual=address(fields.get("x-actual-recipient", "")),
    )


def address(value: str) -> str:
    """Return the address in a typed field: `rfc822; <user@host>` or `utf-8; us\\x{E9}r@host`."""
    kind, semicolon, rest = _TYPE_TWICE.sub(r"\1", value).partition(";")
    if not semicolon:
        kind, rest = "", value
    inside = _BRACKETED.search(rest)
    rest = inside[1] if inside else rest.strip().strip("<>").strip()
    if kind.strip().lower() == "utf-8":
        rest = _UTF8.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)), rest)
    elif "@" not in rest and (x400 := _X400.search(rest)):
        rest = _PRINTABLE.sub(lambda found: _SIGNS[found[1].lower()], x400[1])
    elif "+" in rest and kind.strip().lower() == "rfc822":
        rest = rest.replace("+2B", "+").replace("+3D", "=") if _XTEXT.search(rest) else rest
    return returned.unquoted(rest)[:320]


def after_type(value: str) -> str:
    """Return what stands behind a field's type: `smtp; 550 5.1.1 …`."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and re.fullmatch(r"\s*[\w.-]{1,40}\s*", kind) else value.strip()


def _from_xtext(value: str) -> str:
    return _XTEXT.sub(lambda found: chr(int(found[1], 16)), value)[:200]
