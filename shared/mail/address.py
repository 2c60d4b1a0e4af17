"""Owns what an email address is: RFC 5321 mailboxes, with RFC 6531 local parts and IDN domains.

One string is one mailbox. A second address, a comment, a source route or a line break inside it is refused, for
in a header or an SMTP command it would become something the client did not say.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import email_validator
import idna
import msgspec

from shared.mail import header

MAX_LOCAL: Final = 64  # octets, RFC 5321 4.5.3.1.1
MAX_DOMAIN: Final = 253  # octets: the 255 of RFC 5321 4.5.3.1.2 without DNS's own two
MAX_ADDRESS: Final = 254  # octets, RFC 3696 erratum 1690
MAX_NAME: Final = 256  # characters
_MAX_VALUE: Final = 2 * MAX_NAME + MAX_ADDRESS + 8

# A self-hosted relay may own box.test, mail.local or a tunnel to somewhere: the next hop knows, not this list.
# The library documents this list as the switch; its own flag covers only `test`.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# Dot-atom at LDH labels, the last one ending in a letter. Labels with hyphens in the third and fourth place may be
# IDNA and take the long way. Every quantifier is over a class that its follower does not match: linear.
_LABEL: Final = r"(?![A-Za-z0-9-]{2}--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOMAIN: Final = rf"(?:localhost|(?:{_LABEL}\.)+(?=[A-Za-z0-9-]*[A-Za-z]\Z){_LABEL})"
_PLAIN: Final = re.compile(rf"(?=.{{1,64}}@.{{1,253}}\Z){_ATEXT}(?:\.{_ATEXT})*@{_DOMAIN}", re.ASCII)
_LOCALHOST: Final = "localhost"

# What an unquoted display name may not contain: a comment, a list or an address would begin there.
_NOT_IN_NAME: Final = re.compile(r'[()<>@,;\\"]')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class AddressError(ValueError):
    """Not one email address; the text says what the client should change."""


class Mailbox(msgspec.Struct, frozen=True):
    """One address with the name shown beside it, which may be empty."""

    address: str
    name: str = ""


def parse(value: str) -> Mailbox:
    """Read `user@host` or `Name <user@host>`; the domain is kept as it was given.

    Raises: AddressError.
    """
    if _PLAIN.fullmatch(value) and len(value) <= MAX_ADDRESS:
        return Mailbox(value)
    if problem := header.check_value(value, _MAX_VALUE):
        raise AddressError(f"the address {problem}")
    stripped = value.strip(" \t")
    if not stripped.endswith(">"):
        if "<" in stripped:
            raise AddressError("the address must end with the '>' that closes its '<'")
        return Mailbox(_checked(stripped))
    name, bracket, address = stripped[:-1].rpartition("<")
    if not bracket:
        raise AddressError("there is a '>' without a '<' before the address")
    return Mailbox(_checked(address), _name(name.strip(" \t")))


def normalised(address: str) -> str:
    """Return the form to compare and de-duplicate by: lower case, NFC, A-labels.

    Mailboxes that differ in case only are one in practice, whatever RFC 5321 2.4 allows.
    """
    local, _, domain = address.rpartition("@")
    if local.isascii():
        return f"{local.lower()}@{ascii_domain(domain)}"
    return (
        f"{unicodedata.normalize('NFC', unicodedata.normalize('NFC', local).lower())}@{ascii_domain(domain)}"
    )


def to_ascii_domain(address: str) -> str:
    """Return the address for the envelope: the domain as A-labels, the local part as it is."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    return f"{local}@{ascii_domain(domain)}"


def needs_smtputf8(address: str) -> bool:
    """Tell whether the next hop must offer SMTPUTF8 (RFC 6531) to take this address."""
    return not address.isascii() and not address.rpartition("@")[0].isascii()


def ascii_domain(domain: str) -> str:
    """Return the domain in lower case and as A-labels (RFC 5891).

    Raises: AddressError if it is no domain.
    """
    return domain.lower() if domain.isascii() else _to_a_labels(domain)


@lru_cache(maxsize=4096)
def _to_a_labels(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True, std3_rules=False).decode("ascii")
    except idna.IDNAError as error:
        raise AddressError(f"the part after the @ is not a domain ({error})") from error


def _checked(address: str) -> str:
    if _PLAIN.fullmatch(address) and len(address) <= MAX_ADDRESS:
        return address
    local, at, domain = address.rpartition("@")
    _refuse_what_is_not_one_address(address, local, at)
    try:
        email_validator.validate_email(
            address,
            check_deliverability=False,
            globally_deliverable=domain.lower() != _LOCALHOST,
            strict=True,
        )
    except email_validator.EmailNotValidError as error:
        raise AddressError(str(error)) from error
    if len(local.encode()) > MAX_LOCAL:
        raise AddressError(f"the part before the @ may have at most {MAX_LOCAL} bytes")
    ascii_domain(domain)
    # RFC 6532 3.1: one spelling on the wire, whatever keyboard it was typed on.
    return f"{unicodedata.normalize('NFC', local)}@{domain}"


def _refuse_what_is_not_one_address(address: str, local: str, at: str) -> None:
    if not address:
        raise AddressError("there is no address")
    if not at:
        raise AddressError("the address has no @")
    if local.startswith("@"):
        raise AddressError("a source route before the address is not allowed")
    if "@" in local or "," in address or ";" in address:
        raise AddressError("there may be one address in one string; give several as an array")
    if "(" in address or ")" in address:
        raise AddressError("a comment in brackets is not allowed in an address")
    if '"' in local:
        raise AddressError("a quoted part before the @ is not allowed")


def _name(text: str) -> str:
    if quoted := _QUOTED.fullmatch(text):
        text = _ESCAPED.sub(r"\1", quoted.group(1))
    elif found := _NOT_IN_NAME.search(text):
        raise AddressError(f"put the name in double quotes, for it contains {found.group()!r}")
    if len(text) > MAX_NAME:
        raise AddressError(f"the name may have at most {MAX_NAME} characters")
    return text
