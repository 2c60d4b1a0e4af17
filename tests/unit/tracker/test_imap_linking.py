"""Linked mailboxes follow their accounts: a new access token is logged in with at once, and only it."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from services.tracker import imap_linking
from services.tracker.imap import Server
from services.tracker.imap_linking import Linker
from shared.runtime.configuration import Account, Imap
from shared.runtime.keyring import Keyring, _File
from tests.controls.dispatching import an_account
from tests.controls.eventually import eventually

RING = Keyring(_File(current="k1", keys={"k1": bytes(range(32))}))


class Shelf:
    """A bucket of what was put on it."""

    def __init__(self) -> None:
        self.kept: dict[str, Account] = {}

    def items(self) -> dict[str, Account]:
        return dict(self.kept)


def linked(token: str) -> Account:
    """Return an account whose mailbox is logged in to with this token."""
    account = an_account(25)
    secret = RING.seal(token, account.workspace, account.id)
    imap = Imap(host="imap.test", port=993, auth="xoauth2", username="replies@ours.test", secret=secret)
    return msgspec.structs.replace(account, imap=imap)


async def test_a_changed_token_ends_the_old_session_and_begins_one_with_the_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    class Reader:
        def __init__(self, server: Server, *_: Any) -> None:
            self._server = server

        async def read(self) -> None:
            said.append(f"begun {self._server.auth} {self._server.secret}")
            try:
                await asyncio.Event().wait()  # as one whose login was refused waits, for minutes
            finally:
                said.append(f"ended {self._server.secret}")

    monkeypatch.setattr(imap_linking, "Link", Reader)
    monkeypatch.setattr(imap_linking, "LOOK", 0.01)
    accounts, places = Shelf(), Shelf()
    accounts.kept["default.a"] = linked("old")
    linker = Linker(cast(Any, accounts), cast(Any, places), RING, "me", cast(Any, SimpleNamespace()))
    running = asyncio.create_task(linker.run())
    try:
        await eventually(lambda: said == ["begun xoauth2 old"], within=5)
        accounts.kept["default.a"] = msgspec.structs.replace(accounts.kept["default.a"], name="another name")
        accounts.kept["default.b"] = linked("other")
        await eventually(lambda: said[1:] == ["begun xoauth2 other"], within=5)  # and the first one goes on
        accounts.kept["default.a"] = linked("new")
        await eventually(lambda: said[2:] == ["ended old", "begun xoauth2 new"], within=5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert sorted(said[4:]) == ["ended new", "ended other"]
