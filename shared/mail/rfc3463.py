"""Owns what an SMTP reply means: the enhanced status code (RFC 3463, RFC 5248) and the field's words for it.

A detail of RFC 3463 wins over the bare code, and where the detail says nothing, the text does: 552 means mailbox
full at some hosts and size limit at others. A fault of our own account is never put on a recipient.
"""

import re
from datetime import timedelta
from typing import Final, Literal

import msgspec

from shared.mail import reply_text

Category = Literal[
    "invalid_recipient",
    "mailbox_full",
    "message_too_large",
    "policy",
    "spam",
    "authentication",
    "rate_limited",
    "greylisted",
    "server_busy",
    "network",
    "tls",
    "sender_refused",
    "content",
    "protocol",
    "unknown",
]

# RFC 2034 3: the code opens the text of the reply; a class, a subject and a detail of at most three digits.
_ENHANCED: Final = re.compile(r"\s{0,8}(?:[245]\d\d[ -])?([245]\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)

_BY_DETAIL: Final[dict[str, Category]] = {
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.4", "1.6", "1.9", "1.10"), "invalid_recipient"),
    **dict.fromkeys(("2.1", "4.4", "7.17", "7.18"), "invalid_recipient"),
    **dict.fromkeys(("1.7", "1.8", "7.27"), "sender_refused"),
    "2.2": "mailbox_full",
    **dict.fromkeys(("2.3", "3.4", "7.16"), "message_too_large"),
    **dict.fromkeys(("3.0", "3.1", "3.2", "3.5", "4.3", "4.5"), "server_busy"),
    **dict.fromkeys(("4.1", "4.2", "4.6", "4.7"), "network"),
    **dict.fromkeys(("5.1", "5.2", "5.4", "5.5"), "protocol"),
    **dict.fromkeys(("5.3", "7.28"), "rate_limited"),
    **dict.fromkeys(("5.6", "7.8", "7.9", "7.12", "7.13"), "authentication"),
    **dict.fromkeys(("7.10", "7.11", "7.30"), "tls"),
    **dict.fromkeys((f"6.{detail}" for detail in range(11)), "content"),
    "3.3": "content",
    **dict.fromkeys((f"7.{detail}" for detail in (2, 3, 14, 15, *range(20, 27), 29)), "policy"),
}
# Codes that mean one thing only (RFC 4954, RFC 7504, RFC 1870); 552 and 554 mean several and are not here.
_BY_CODE: Final[dict[int, Category]] = {
    **dict.fromkeys((432, 524, 525, 530, 534, 535, 538), "authentication"),
    454: "tls",
    **dict.fromkeys((500, 501, 502, 503, 504, 555), "protocol"),
    **dict.fromkeys((421, 451, 452), "server_busy"),
    **dict.fromkeys((521, 556), "invalid_recipient"),
}
_BY_CODE_AT_RECIPIENT: Final[dict[int, Category]] = {
    450: "server_busy",
    # A bare 550 is given for policy as often as for an unknown user: it stays unknown.
    **dict.fromkeys((551, 553), "invalid_recipient"),
    552: "mailbox_full",
}
# Details that many hosts give for anything at all: here the text, then the code, knows better.
_VAGUE: Final = re.compile(r"\d\.0|2\.[0-4]|7\.[01]|1\.8|3\.[02]|4\.5|5\.[01]")

_ACTION: Final[dict[Category, str]] = {
    "invalid_recipient": "Correct the address or stop sending to it.",
    "mailbox_full": "Try again later; the recipient's mailbox is full.",
    "message_too_large": "Send a smaller message: shorten it or link to the attachments.",
    "policy": "Read the server's message; ask its postmaster or check SPF, DKIM and DMARC of the sender's domain.",
    "spam": "Change the content, and check the reputation of the sending domain and IP address.",
    "authentication": "Check user name, password and login method of the SMTP account.",
    "rate_limited": "Lower the limits of the SMTP account; the server takes no more for now.",
    "greylisted": "Nothing to do; the server wants to see the message again later.",
    "server_busy": "Nothing to do; the server has a temporary problem.",
    "network": "Check host, port and firewall of the SMTP account if this goes on.",
    "tls": "Check the TLS mode of the SMTP account and the server's certificate.",
    "sender_refused": "Send from an address that the SMTP account's server allows.",
    "content": "Change what the server names in its message; it cannot take this content.",
    "protocol": "Report this; the server did not understand what was sent.",
    "unknown": "Read the server's message.",
}
_BEFORE_RECIPIENTS: Final = (
    "resolve",
    "connect",
    "banner",
    "ehlo",
    "helo",
    "tls",
    "starttls",
    "auth",
    "mail",
)
_CONTENT: Final = ("data", "body", "final")
# Whoever repairs these is the account's owner.
_ACCOUNT: Final = frozenset({"authentication", "tls", "sender_refused"})


class Classification(msgspec.Struct, frozen=True):
    """What a refusal means for the email and for whoever sent it.

    It explains; it is no ground to suppress an address, for that takes more evidence than one reply.
    """

    category: Category
    retryable: bool
    suggested_action: str
    message: str
    is_accounts_fault: bool
    """The SMTP account or its server is to blame, hence no recipient."""


def action_for(category: Category) -> str:
    """Return what can be done about a refusal of this kind, in a sentence."""
    return _ACTION[category]


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code that opens a reply's text (the reply code may stand before it), or None."""
    found = _ENHANCED.match(text)
    return found.group(1) if found else None


def retry_after(text: str) -> timedelta | None:
    """Return how long the server asks us to wait before the next try, at most a day, or None if it does not say."""
    return reply_text.retry_after(text)


def classify(code: int, enhanced: str | None, text: str, phase: str) -> Classification:
    """Say what a refusal means; `code` 0 is no answer at all (then the phase tells network from TLS).

    `phase` is where the reply came, in any case: banner, ehlo, tls, auth, mail, rcpt, data, body or final.
    """
    phase = phase.lower()
    category = _category(code, enhanced or enhanced_code(text), text, phase)
    return Classification(
        category=category,
        retryable=_is_retryable(code, category, phase),
        suggested_action=_ACTION[category],
        message=" ".join(text[:2000].split())[:500],
        is_accounts_fault=_is_accounts_fault(code, category, phase),
    )


def _category(code: int, enhanced: str | None, text: str, phase: str) -> Category:
    if code == 0:
        return "tls" if "tls" in phase else "network"
    said = reply_text.category(text, is_temporary=code < 500)
    detail = enhanced[2:] if enhanced else ""
    found = _BY_DETAIL.get(detail)
    if found == "network" and code >= 500:
        # Nobody gives up on a network for good in the first second: these hosts mean the recipient or a policy.
        found = said or "policy"
    if found is None and code >= 500 and detail.startswith("7."):
        found = said or "policy"  # RFC 3463 3.8 is about security and policy
    elif found is None or said == "greylisted" or _VAGUE.fullmatch(detail):
        found = said or _by_code(code, phase, found)
    return _at_phase(found, code, phase)


def _by_code(code: int, phase: str, vague: Category | None) -> Category:
    """Fall back to the bare code, unless even a vague detail says more than that."""
    found = _BY_CODE.get(code)
    if found in ("authentication", "tls"):
        return found
    if vague:
        return vague
    if found is None and phase.startswith("rcpt"):
        found = _BY_CODE_AT_RECIPIENT.get(code)
    if found is None and code == 552:
        found = "message_too_large"
    if found is None and phase.startswith(_CONTENT) and code >= 500:
        found = "policy"
    return found or ("server_busy" if code < 500 else "unknown")


def _at_phase(category: Category, code: int, phase: str) -> Category:
    """Read a refusal by the command it answers: before RCPT nothing can be a recipient's fault."""
    if phase.startswith("auth"):
        return category if category in ("tls", "network", "rate_limited", "server_busy") else "authentication"
    if "tls" in phase:
        return "tls"
    if category not in ("invalid_recipient", "mailbox_full", "unknown") or not _is_before_recipients(phase):
        return category if code < 500 or not phase.startswith("mail") else _at_mail_from(category)
    if code < 500:
        return "server_busy"
    return "sender_refused" if phase.startswith("mail") else "policy"


def _at_mail_from(category: Category) -> Category:
    return "sender_refused" if category in ("policy", "spam", "server_busy", "rate_limited") else category


def _is_accounts_fault(code: int, category: Category, phase: str) -> bool:
    if category in ("message_too_large", "content"):
        return False
    return category in _ACCOUNT or (code >= 500 and _is_before_recipients(phase))


def _is_before_recipients(phase: str) -> bool:
    return phase.startswith(_BEFORE_RECIPIENTS)


def _is_retryable(code: int, category: Category, phase: str) -> bool:
    if code < 500 or category == "authentication":
        return True
    # A server that refuses the session has said nothing about this email, nor one that wants TLS first.
    return _is_before_recipients(phase) and (category == "tls" or not phase.startswith("mail"))
