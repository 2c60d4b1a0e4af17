"""A linked mailbox over IMAP: opened for reading only, so that nothing in it is marked or moved.

The client blocks, so each mailbox has a thread; whatever a server says or does comes out as one ImapFault that names
the step.
"""

import asyncio
import imaplib
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
import structlog
from prometheus_client import Counter

from services.tracker import imap_answers, imap_login, mime
from services.tracker.imap_answers import Item
from services.tracker.imap_wire import COMMAND, COMMAND_BYTES, Wire
from shared.runtime import outgoing

Step: TypeAlias = Literal["secret", "resolve", "connect", "tls", "login", "mailbox", "fetch", "idle"]
T = TypeVar("T")
logger = structlog.get_logger(__name__)
UNREADABLE: Final = Counter(
    "sendlog_imap_unreadable_total", "Messages passed over, as the server's answer lacks this", ["missing"]
)
CONNECT: Final = 10.0  # seconds for one address
HEAD: Final = 256 * 1024  # so much is read of a message that is too large to be read
FETCH_SECONDS: Final = 300.0


class ImapFault(Exception):
    """The mailbox cannot be read: at which step, and what was said."""

    def __init__(self, step: Step, message: str) -> None:
        super().__init__(f"{step}: {message}")
        self.step, self.message = step, message


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where a mailbox is and how to log in; `secret` is the password or, with xoauth2, the access token."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    auth: Literal["password", "xoauth2"]
    username: str
    secret: str
    mailbox: str
    tls_ca: str | None = None

    def __repr__(self) -> str:
        """Leave the secret out: reprs end up in logs."""
        return f"Server({self.mailbox} of {self.username}@{self.host}:{self.port} tls={self.tls})"


class Seen(NamedTuple):
    """A mailbox's UIDVALIDITY, and the UID that its next message will have at least."""

    validity: int
    next_uid: int


class Mailbox:
    """One logged-in session; not for several tasks at once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="imap")
        self._wire: Wire | None = None
        self._news = 0

    @classmethod
    async def open(cls, server: Server, allowed: outgoing.Networks) -> "Mailbox":
        """Resolve, connect to a checked address, go over to TLS and log in. Raises: ImapFault."""
        mailbox = cls(server)
        try:
            sock = await _connected(server, allowed)
            await mailbox._do("tls", lambda: mailbox._greet(sock))
            await mailbox._do("login", lambda: imap_login.login(mailbox.wire, server))
        except BaseException:
            await mailbox.close()
            raise
        return mailbox

    @property
    def wire(self) -> Wire:
        """The connection. Raises: imaplib's abort when there is none."""
        if self._wire is None:
            raise imaplib.IMAP4.abort("not connected")
        return self._wire

    @property
    def tls(self) -> str | None:
        """The version of TLS, None in clear."""
        return self.wire.tls

    @property
    def can_idle(self) -> bool:
        """Whether the server tells of new mail by itself (RFC 2177)."""
        return "IDLE" in self.wire.capabilities

    async def examine(self) -> Seen:
        """Look at the mailbox as it is now. Raises: ImapFault."""
        return await self._do("mailbox", self._examine)

    async def listed(self, first: int, last: int) -> list[Item]:
        """Return the messages with these UIDs that are there, oldest first. Raises: ImapFault."""
        what = "(UID RFC822.SIZE INTERNALDATE)"
        answer = await self._do("fetch", lambda: self._fetch(f"{first}:{last}", what, COMMAND_BYTES))
        found = imap_answers.listed(answer, datetime.now(UTC))
        for uid in sorted(imap_answers.unsized(answer)):
            if first <= uid <= last:
                found += await self._listed_alone(uid)
        return sorted(item for item in found if first <= item.uid <= last)

    async def _listed_alone(self, uid: int) -> list[Item]:
        """Ask for one message that was named without its size once more, alone. Raises: ImapFault."""
        what = "(UID RFC822.SIZE INTERNALDATE)"
        answer = await self._do("fetch", lambda: self._fetch(str(uid), what, COMMAND_BYTES))
        found = [item for item in imap_answers.listed(answer, datetime.now(UTC)) if item.uid == uid]
        if not found and uid in imap_answers.unsized(answer):
            self._pass_over(uid, "size")
        return found

    async def bodies(self, items: Sequence[Item]) -> dict[int, bytes]:
        """Return the messages by UID, of one that is too large its beginning. Raises: ImapFault.

        One that is not among them has left the mailbox, or is counted as unreadable.
        """
        small = [item for item in items if item.size <= mime.MAX_BYTES]
        found = await self._bodies(small, "BODY.PEEK[]") if small else {}
        for item in items:
            if item.size > mime.MAX_BYTES:
                found |= await self._bodies([item], f"BODY.PEEK[]<0.{HEAD}>")
        for item in items:
            if item.uid not in found:
                found |= await self._body_alone(item)
        return found

    async def _body_alone(self, item: Item) -> dict[int, bytes]:
        """Ask for a message whose body did not come once more, alone. Raises: ImapFault."""
        what = "BODY.PEEK[]" if item.size <= mime.MAX_BYTES else f"BODY.PEEK[]<0.{HEAD}>"
        found = await self._bodies([item], what)
        if not found and await self.listed(item.uid, item.uid):
            self._pass_over(item.uid, "body")
        return found

    def _pass_over(self, uid: int, missing: str) -> None:
        UNREADABLE.labels(missing).inc()
        logger.warning("imap_unreadable", mailbox=repr(self._server), uid=uid, missing=missing)

    async def wait(self, seconds: float) -> None:
        """Return when something has arrived since the mailbox was looked at, or the time is over."""
        if not self._has_news():
            await self._do("idle", lambda: self.wire.idle_for(seconds))

    async def close(self) -> None:
        """End the session, whatever it is in."""
        if self._wire is not None:
            self._wire.cut()
            # In the thread, after whatever it was in, or its socket's number could be somebody else's by then.
            self._thread.submit(self._wire.shutdown)
        self._thread.shutdown(wait=False)

    def _greet(self, sock: socket.socket) -> None:
        server = self._server
        context = None if server.tls == "none" else imap_login.context(server.tls_ca)
        try:
            self._wire = Wire(sock, server.host, context if server.tls == "implicit" else None)
        except BaseException:
            sock.close()
            raise
        if context is not None and server.tls == "starttls":
            self._wire.secure(context)

    def _examine(self) -> Seen:
        self.wire.allow()
        name = self._server.mailbox.replace("\\", "\\\\").replace('"', '\\"')
        answer, said = self.wire.select(f'"{name}"', readonly=True)
        if answer != "OK":
            raise imaplib.IMAP4.error(f"the server does not open {self._server.mailbox!r}: {said!r}")
        self._news = len(self.wire.untagged_responses.get("EXISTS", ()))
        validity, next_uid = self._told("UIDVALIDITY"), self._told("UIDNEXT")
        return Seen(validity or 0, next_uid or self._after_last())

    def _told(self, what: str) -> int | None:
        value = (self.wire.untagged_responses.get(what) or [b""])[-1]
        return int(value) if isinstance(value, bytes) and value.isdigit() else None

    def _after_last(self) -> int:
        """Return the UID after the last message's, for a server that does not tell UIDNEXT."""
        found = imap_answers.listed(self._fetch("*", "(UID RFC822.SIZE)", COMMAND_BYTES), datetime.now(UTC))
        return max((item.uid for item in found), default=0) + 1

    def _has_news(self) -> bool:
        return len(self.wire.untagged_responses.get("EXISTS", ())) > self._news

    async def _bodies(self, items: Sequence[Item], what: str) -> dict[int, bytes]:
        room = sum(max(HEAD, item.size) for item in items) + COMMAND_BYTES
        numbers = ",".join(str(item.uid) for item in items)
        answer = await self._do("fetch", lambda: self._fetch(numbers, f"(UID {what})", room))
        wanted = {item.uid for item in items}
        return {uid: raw for uid, raw in imap_answers.bodies(answer).items() if uid in wanted}

    def _fetch(self, numbers: str, what: str, room: int) -> imap_answers.Answer:
        self.wire.allow(FETCH_SECONDS, room)
        answer, found = self.wire.uid("FETCH", numbers, what)
        if answer != "OK":
            raise imaplib.IMAP4.error(f"FETCH was refused: {found!r}")
        return found or ()

    async def _do(self, step: Step, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except ssl.SSLCertVerificationError as error:
            raise ImapFault("tls", f"the certificate is not accepted: {error.verify_message}") from error
        except Exception as error:  # what a server says can break the library in any way
            said = str(error) or repr(error)
            raise ImapFault(step, imap_login.without_secret(said, self._server)) from error


async def _connected(server: Server, allowed: outgoing.Networks) -> socket.socket:
    try:
        addresses = await outgoing.resolve(server.host, server.port, allowed)
    except (outgoing.RefusedAddress, socket.gaierror) as error:
        raise ImapFault("resolve", str(error)) from error
    reasons = []
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT):
                await asyncio.get_running_loop().sock_connect(sock, (address, server.port))
        except OSError as error:  # TimeoutError among them
            sock.close()
            reasons.append(f"{address}: {error.strerror or 'no answer'}")
            continue
        except BaseException:
            sock.close()
            raise
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.settimeout(COMMAND)
        return sock
    raise ImapFault("connect", f"no connection to port {server.port}: {'; '.join(reasons)}")
