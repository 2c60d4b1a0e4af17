"""Logging in to a mailbox: by password or by an access token (XOAUTH2), and never without the TLS that is asked for.

What a server says in answer is told to people, so it is cleared of the secret first.
"""

import base64
import ssl
from functools import lru_cache
from typing import Protocol

from services.tracker.imap_wire import Wire


class Login(Protocol):
    """How to log in."""

    @property
    def tls(self) -> str:
        """`implicit`, `starttls` or `none`."""

    @property
    def auth(self) -> str:
        """`password` or `xoauth2`."""

    @property
    def username(self) -> str:
        """Who."""

    @property
    def secret(self) -> str:
        """The password or the access token."""


def login(wire: Wire, wanted: Login) -> None:
    """Log in, and learn what the server offers then. Raises: imaplib's errors, OSError."""
    wire.allow()
    if wanted.tls != "none" and wire.tls is None:
        raise wire.error("credentials are not sent without the TLS the account asks for")
    offered = wire.capabilities
    if wanted.auth == "xoauth2":
        if "AUTH=XOAUTH2" not in offered:
            raise wire.error("the server does not offer XOAUTH2")
        _xoauth2(wire, wanted)
    elif "AUTH=PLAIN" in offered:
        answer = f"\0{wanted.username}\0{wanted.secret}".encode()
        wire.authenticate("PLAIN", lambda _: answer)
    else:
        wire.login(wanted.username, wanted.secret)
    wire.refresh()


def _xoauth2(wire: Wire, wanted: Login) -> None:
    """Send the token; a server that refuses it says why in a second challenge, which wants an empty answer."""
    reasons: list[str] = []

    def answer(challenge: bytes) -> bytes:
        if challenge:
            reasons.append(challenge.decode("utf-8", "replace"))
            return b""
        return _bearer(wanted)

    try:
        wire.authenticate("XOAUTH2", answer)
    except wire.error as error:
        raise wire.error(f"{error} {' '.join(reasons)}".strip()) from error


def _bearer(wanted: Login) -> bytes:
    return f"user={wanted.username}\1auth=Bearer {wanted.secret}\1\1".encode()


def without_secret(text: str, wanted: Login) -> str:
    """Return the text without the secret, in whatever form a server could echo it."""
    if not wanted.secret:
        return text
    plain = f"\0{wanted.username}\0{wanted.secret}".encode()
    encoded = (base64.b64encode(form).decode() for form in (plain, _bearer(wanted), wanted.secret.encode()))
    for form in (*encoded, wanted.secret):
        text = text.replace(form, "***")
    return text


@lru_cache(maxsize=64)
def context(extra: str | None) -> ssl.SSLContext:
    """Return the context for checked TLS; `extra` is PEM of authorities trusted beside the system's."""
    made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if extra:
        made.load_verify_locations(cadata=extra)
    return made
