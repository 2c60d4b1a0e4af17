"""Owns the Message-ID of an email: made from its id alone, so every attempt carries the same one (RFC 5322 3.6.4)."""

from shared.mail import address


def make(email_id: str, domain: str) -> str:
    """Return `<email_id@domain>`, the domain as A-labels.

    Raises: address.AddressError if the domain is none.
    """
    return f"<{email_id}@{address.ascii_domain(domain)}>"
