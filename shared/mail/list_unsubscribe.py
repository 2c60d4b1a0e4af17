"""Owns the header fields with which a reader's mail program unsubscribes by one click (RFC 2369, RFC 8058)."""


def fields(url: str | None, address: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the two fields for this address, or none without one; `address` is for programs that only write mail.

    Whoever POSTs to the address has unsubscribed, without being asked again: it must be an address of ours.
    """
    if url is None:
        return ()
    ways = f"<{url}>" if address is None else f"<{url}>, <mailto:{address}?subject=unsubscribe>"
    return (("List-Unsubscribe", ways), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
