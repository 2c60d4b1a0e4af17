"""Owns the header fields with which a reader's mail program unsubscribes by one click (RFC 2369, RFC 8058)."""


def fields(url: str | None) -> tuple[tuple[str, str], ...]:
    """Return the two fields for this address, or none without one.

    Whoever POSTs to the address has unsubscribed, without being asked again: it must be an address of ours.
    """
    if url is None:
        return ()
    return (("List-Unsubscribe", f"<{url}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
