"""Owns the header fields with which a reader's mail program unsubscribes by one click (RFC 2369, RFC 8058)."""


def fields(url: str | None, address: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the fields for these ways, none without one; `address` is for programs that only write mail.

    Whoever POSTs to the URL has unsubscribed, without being asked again: it must be one of ours, and tell who it was.
    Without it there is no one click, and the second field must not say so.
    """
    ways = [] if url is None else [f"<{url}>"]
    if address is not None:
        ways.append(f"<mailto:{address}?subject=unsubscribe>")
    if not ways:
        return ()
    one_click = () if url is None else (("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),)
    return (("List-Unsubscribe", ", ".join(ways)), *one_click)
