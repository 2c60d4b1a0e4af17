"""Mailboxes in a real Dovecot, one for each test, and what their owner and the network do to them."""

import imaplib
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deploy.local.ports import LOOPBACK
from services.tracker.imap import Server
from tests.controls.mailworld import PASSWORD, MailWorld

USER = "bounce@platform.test"


class Inbox:
    """One mailbox of `bounce@platform.test`, made empty."""

    def __init__(self, world: MailWorld, name: str) -> None:
        self._world, self.name = world, name
        self._quoted = f'"{name}"'
        with self._client() as client:
            client.create(self._quoted)

    def server(self, **fields: object) -> Server:
        """Return how a tracker reaches it."""
        values = {
            "host": LOOPBACK, "port": self._world.imap, "tls": "starttls", "auth": "password", "username": USER,
            "secret": PASSWORD, "mailbox": self.name, "tls_ca": self._world.authority,
        }  # fmt: skip
        return Server(**(values | fields))  # type: ignore[arg-type]

    def put(self, *messages: bytes) -> None:
        """Let messages arrive."""
        with self._client() as client:
            for message in messages:
                answer, said = client.append(self._quoted, "", "", message)
                assert answer == "OK", said

    def remove(self, uid: int) -> None:
        """Remove one message for good."""
        with self._client() as client:
            client.select(self._quoted)
            client.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
            client.expunge()

    def recreate(self) -> None:
        """Delete the mailbox and make another of that name: its UIDVALIDITY is another."""
        with self._client() as client:
            before = self._validity(client)
            client.delete(self._quoted)
            client.create(self._quoted)
            assert self._validity(client) != before

    def flags(self) -> Sequence[bytes]:
        """Return the flags of all messages as Dovecot says them."""
        with self._client() as client:
            client.select(self._quoted, readonly=True)
            _, found = client.fetch("1:*", "(FLAGS)")
            return [line for line in found if isinstance(line, bytes)]

    def kick(self) -> bool:
        """End every session of the user, as a restart of the server does; say whether there was one."""
        config = self._world.home / "mw" / "etc" / "dovecot.conf"
        command = ["doveadm", "-c", str(config), "kick", USER]
        done = subprocess.run(command, check=False, capture_output=True, timeout=20)
        assert done.returncode in (0, 68), done.stderr  # 68: nobody is logged in
        return done.returncode == 0

    def _validity(self, client: imaplib.IMAP4) -> bytes:
        return bytes(client.status(self._quoted, "(UIDVALIDITY)")[1][0])

    @contextmanager
    def _client(self) -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4(LOOPBACK, self._world.imap) as client:
            client.login(USER, PASSWORD)
            yield client
