"""Whose email an inbound message is about: found by signed handles alone, the strongest first.

The envelope address first, for only a server on the way and we know it; then ENVID; then the Message-ID,
which every recipient can read, and which therefore proves less.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from services.tracker import mime, returned
from shared.runtime import handles
from shared.runtime.tokens import Tokens

Proof: TypeAlias = Literal["return path", "envid", "message id", "unsubscribe address"]
_ADDRESSED: Final = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to", "cc")
_MAX_IDS: Final = 50


class Found(NamedTuple):
    """An email that a message is about, and what proves it. `workspaces` are those it may belong to."""

    workspaces: tuple[str, ...]
    email_id: str
    proof: Proof


def own_addresses(message: mime.Part) -> Iterator[str]:
    """Yield the addresses that a message says it was sent to."""
    for name in _ADDRESSED:
        for value in message.all(name):
            yield from returned.addresses(value)


def is_forged(message: mime.Part, envelope: Iterable[str], return_path: str) -> bool:
    """Say whether it came to an address made like an email's return path that is another: nobody garbles one by chance."""
    mine = return_path.lower()
    domain = mine[mine.rfind("@") :]
    came_to = (one.lower() for one in (*envelope, *own_addresses(message)))
    return any(handles.is_return_path(one) and one.endswith(domain) and one != mine for one in came_to)


class Finder:
    """Reads handles; `workspaces` is asked for the names there are."""

    def __init__(self, tokens: Tokens, workspaces: Callable[[], Iterable[str]]) -> None:
        self._tokens, self._workspaces = tokens, workspaces

    def by_address(self, message: mime.Part, envelope: Iterable[str]) -> Found | None:
        """Return the email that one of the message's own addresses was made for."""
        for address in (*envelope, *own_addresses(message)):
            handle = handles.of_address(self._tokens, address)
            if handle is not None:
                return self._known(handle, "return path")
        return None

    def is_signed(self, text: str) -> bool:
        """Say whether an address was made here; its domain may be an account's no more."""
        made = handles.of_address(self._tokens, text) or handles.of_unsubscribe_address(self._tokens, text)
        return made is not None

    def by_unsubscribe_address(self, message: mime.Part, envelope: Iterable[str]) -> Found | None:
        """Return the email that one of the message's own addresses was made to unsubscribe from."""
        for address in (*envelope, *own_addresses(message)):
            handle = handles.of_unsubscribe_address(self._tokens, address)
            if handle is not None:
                return self._known(handle, "unsubscribe address")
        return None

    def by_envid(self, envid: str) -> Found | None:
        """Return the email whose envelope id a report gives back."""
        handle = handles.of_token(self._tokens, envid)
        return None if handle is None else self._known(handle, "envid")

    def by_message_ids(self, values: Iterable[str]) -> Found | None:
        """Return the email that one of these Message-IDs belongs to."""
        for value in list(values)[:_MAX_IDS]:
            pointer = handles.of_message_id(self._tokens, value)
            if pointer is not None:
                return Found((pointer.workspace,), pointer.email_id, "message id")
        return None

    def _known(self, handle: handles.Handle, proof: Proof) -> Found | None:
        names = tuple(handle.workspace(self._workspaces()))
        return Found(names, handle.email_id, proof) if names else None
