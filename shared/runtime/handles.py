"""Owns the handles by which what comes back finds its email: the envelope sender, ENVID and Message-ID, all signed.

Made where an email is accepted or sent, read where reports and replies arrive. Without a valid MAC a handle is
nothing: whoever guesses an email's id can say nothing about it.
"""

import hashlib
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from shared.mail import address
from shared.runtime.configuration import Account
from shared.runtime.tokens import Pointer, Tokens, pointer

MAX_LOCAL_PART: Final = 64  # RFC 5321 4.5.3.1.1
PREFIX: Final = "bounce"
LEAVING: Final = "unsub"  # a longer word and the token would not fit into a local part
COST: Final = (
    "the current key is not numbered (k1 to k255): its tokens do not fit into an address, so reports come back to the "
    "sender's own and nobody unsubscribes by mail; a rotation makes one that is"
)
_MARK: Final = 2
_UUID: Final = 16


class Handle(NamedTuple):
    """An email as its short handle names it: the workspace only by a mark, for a local part holds 64 octets."""

    mark: bytes
    email_id: str

    def workspace(self, known: Iterable[str]) -> list[str]:
        """Return the workspaces that this can mean: one, but for a coincidence in 65,536."""
        return [name for name in known if _mark(name) == self.mark]


def return_path(tokens: Tokens, workspace: str, email_id: str, domain: str | None, own: str) -> str:
    """Return the envelope sender: `bounce+<token>@domain`, or the account's own address with `+<token>`.

    Where a token does not fit, for the address or the key's name is too long, the own address stays as it is: its
    reports are then found by ENVID or Message-ID alone.
    """
    payload = _mark(workspace) + bytes.fromhex(email_id.replace("-", ""))
    if domain is not None:
        local = f"{PREFIX}+{tokens.sign('return-path', payload, 'local-part')}"
        if len(local) <= MAX_LOCAL_PART:
            return f"{local}@{domain}"
    local, _, host = own.rpartition("@")
    # In mixed letters it is a sixth shorter, and servers that take `+` keep the case of what follows.
    local = f"{local}+{tokens.sign('return-path', payload)}"
    return f"{local}@{host}" if len(local.encode()) <= MAX_LOCAL_PART else own


def fit(tokens: Tokens) -> bool:
    """Say whether a local part has room for a token of the current key; our own numbered names are short enough."""
    return len(f"{PREFIX}+{tokens.sign('return-path', bytes(_MARK + _UUID), 'local-part')}") <= MAX_LOCAL_PART


def unsubscribe_address(tokens: Tokens, workspace: str, email_id: str, domain: str) -> str | None:
    """Return the address to unsubscribe by, or None where the key's name is too long for a local part."""
    payload = _mark(workspace) + uuid.UUID(email_id).bytes
    local = f"{LEAVING}+{tokens.sign('unsubscribe', payload, 'local-part')}"
    return f"{local}@{domain}" if len(local) <= MAX_LOCAL_PART else None


def is_unsubscribe_address(text: str) -> bool:
    """Say whether an address looks like one of `unsubscribe_address`; only its token shows that it is."""
    return text[: len(LEAVING) + 1].lower() == f"{LEAVING}+"


def of_unsubscribe_address(tokens: Tokens, text: str) -> Handle | None:
    """Return what an address was made for by `unsubscribe_address`, or None. Never raises."""
    if not is_unsubscribe_address(text):
        return None
    token = text.rpartition("@")[0].rpartition("+")[2]
    return _handle(tokens.verify("unsubscribe", token, "local-part"))


def sender(tokens: Tokens, email_id: str, account: Account, from_address: str) -> str:
    """Return the envelope sender of an email of this account, its domain in A-labels."""
    own = address.to_ascii_domain(from_address)
    return return_path(tokens, account.workspace, email_id, account.return_path_domain, own)


def envid(tokens: Tokens, workspace: str, email_id: str) -> str:
    """Return the ENVID of the envelope (RFC 3461 4.4), which reports give back as it was."""
    return tokens.sign("return-path", _mark(workspace) + uuid.UUID(email_id).bytes, "local-part")


def is_return_path(text: str) -> bool:
    """Say whether an address looks like one of `return_path` in a domain of its own; only its token shows that it is."""
    return text[: len(PREFIX) + 1].lower() == f"{PREFIX}+"


def of_address(tokens: Tokens, text: str) -> Handle | None:
    """Return what an address was made for by `return_path`, or None. Never raises."""
    _, plus, token = text.rpartition("@")[0].rpartition("+")
    return of_token(tokens, token) if plus else None


def of_token(tokens: Tokens, token: str) -> Handle | None:
    """Return what the token of a return path or an ENVID names, or None. Never raises."""
    return _handle(tokens.verify("return-path", token, "local-part") or tokens.verify("return-path", token))


def _handle(payload: bytes | None) -> Handle | None:
    if payload is None or len(payload) != _MARK + _UUID:
        return None
    return Handle(payload[:_MARK], str(uuid.UUID(bytes=payload[_MARK:])))


def message_id(tokens: Tokens, workspace: str, email_id: str, domain: str) -> str:
    """Return the email's Message-ID, with a MAC. Nobody changes the letters of one: it would thread no reply.

    Raises: address.AddressError if the domain is none.
    """
    token = tokens.sign("message-id", Pointer(workspace, email_id).encoded())
    return f"<{token}@{address.ascii_domain(domain)}>"


def of_message_id(tokens: Tokens, text: str) -> Pointer | None:
    """Return which email a Message-ID of ours belongs to, or None. Never raises."""
    payload = tokens.verify("message-id", text.strip().strip("<>").rpartition("@")[0])
    return None if payload is None else pointer(payload)


@lru_cache(maxsize=64)
def _mark(workspace: str) -> bytes:
    return hashlib.sha256(workspace.encode()).digest()[:_MARK]
