"""Owns the header field by which a message asks to be told that it was read (RFC 8098)."""


def fields(address: str | None) -> tuple[tuple[str, str], ...]:
    """Return the field that asks for the receipt at this address, or none without one.

    It should be the envelope sender: RFC 8098 2.1 has mail programs warn their user where the two differ.
    """
    return () if address is None else (("Disposition-Notification-To", f"<{address}>"),)
