"""The linked mailboxes of all accounts: read from the moment they are linked until they are not.

Trackers share them by leases; each tries for all. A change of an account is noticed within a second, and a place is
forgotten with its link, so that a mailbox linked again begins at its end again.
"""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from services.tracker.imap import ImapFault, Server
from services.tracker.imap_places import Holding, Place
from services.tracker.imap_reading import Link, Shared
from shared.runtime import buckets, process
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Imap
from shared.runtime.keyring import Keyring, KeyringError

logger = structlog.get_logger(__name__)
LOOK: Final = 0.5  # seconds between looks at the accounts, which are in memory


def server(account: Account, imap: Imap, ring: Keyring) -> Server:
    """Return how to reach an account's mailbox, its secret opened. Raises: ImapFault."""
    try:
        secret = ring.open(imap.secret, account.workspace, account.id)
    except KeyringError as error:
        raise ImapFault("secret", str(error)) from error
    return Server(
        host=imap.host,
        port=imap.port,
        tls=imap.tls,
        auth=imap.auth,
        username=imap.username,
        secret=secret,
        mailbox=imap.mailbox,
        tls_ca=imap.tls_ca,
    )


class Linker:
    """Keeps a reader for each linked mailbox."""

    def __init__(
        self, accounts: Bucket[Account], places: Bucket[Place], ring: Keyring, me: str, parts: Shared
    ) -> None:
        self._accounts, self._places, self._ring = accounts, places, ring
        self._me, self._parts = me, parts
        self._links: dict[str, tuple[Imap, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Follow the accounts until cancelled."""
        try:
            while True:
                try:
                    await self._look()
                except Exception as error:  # whatever it is, the next look may be better
                    logger.warning("imap_look_failed", error=repr(error))
                await asyncio.sleep(LOOK)
        finally:
            await process.end(*(task for _, task in self._links.values()))

    async def _look(self) -> None:
        wanted = {key: account for key, account in self._accounts.items().items() if account.imap}
        for key, (imap, task) in list(self._links.items()):
            if key not in wanted or wanted[key].imap != imap:
                del self._links[key]
                await process.end(task)
        for key, account in wanted.items():
            if key not in self._links and account.imap:
                self._links[key] = (account.imap, self._read(key, account, account.imap))
        for key in self._places.items().keys() - wanted.keys():
            await self._forget(key)

    def _read(self, key: str, account: Account, imap: Imap) -> asyncio.Task[None]:
        log = logger.bind(account_id=account.id, workspace=account.workspace)
        try:
            reached = server(account, imap, self._ring)
        except ImapFault as fault:
            log.error("imap_secret_unreadable", error=str(fault))
            return asyncio.create_task(_nothing(), name=f"imap-{key}")
        holding = Holding(self._places, key, self._me)
        return asyncio.create_task(Link(reached, holding, self._parts, log).read(), name=f"imap-{key}")

    async def _forget(self, key: str) -> None:
        found = await self._accounts.read(key)  # memory may be behind
        if found is not None and found[1].imap is not None:
            return
        place = await self._places.read(key)
        if place is not None:
            with suppress(buckets.Changed):  # its reader was just about to end: the next look is soon
                await self._places.delete(key, revision=place[0])


async def _nothing() -> None:
    """Be the reader of a mailbox that cannot be read until the account or the keyring is another."""
