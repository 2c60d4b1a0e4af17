"""One SMTP session with the next hop: opened once, many transactions, closed politely.

The session holds no retry policy: what the server says and where the network ended is told as it was,
and a session that saw anything odd is never used again.
"""

import asyncio
from collections.abc import Callable

from services.dispatcher.envelope import Envelope, Extensions
from services.dispatcher.opening import Opening, Server
from services.dispatcher.outcome import Outcome, Record, Reply
from services.dispatcher.timeouts import Timeouts
from services.dispatcher.transaction import Transaction
from services.dispatcher.wire import Broken
from shared.events import delivery
from shared.runtime import outgoing

_DEFAULT = Timeouts()


class Session:
    """An open, logged-in session; one transaction at a time.

    `idle_since` is loop time; `transactions` counts those begun.
    """

    def __init__(self, server: Server, opened: Opening, timeouts: Timeouts) -> None:
        self.server = server
        self.extensions: Extensions = opened.extensions
        self.transactions = 0
        self._address, self._wire, self._timeouts = opened.address, opened.wire, timeouts
        self._opening: Record | None = opened.record
        self._reset_first = False
        self._busy = False
        self._loop = asyncio.get_running_loop()
        self.idle_since = self._loop.time()

    @classmethod
    async def open(
        cls, server: Server, *, allowed: outgoing.Networks = (), timeouts: Timeouts = _DEFAULT
    ) -> "Session":
        """Connect, put TLS on, log in.

        Raises: SmtpError, with the phase, the reply if there was one, and the conversation.
        """
        opening = Opening(server, allowed, timeouts)
        await opening.run()
        return cls(server, opening, timeouts)

    @property
    def usable(self) -> bool:
        """Whether another transaction may be tried; the server can still have gone away unseen."""
        return self._wire.alive and not self._busy

    @property
    def tls(self) -> str | None:
        """The TLS version and cipher, None where the session is in clear."""
        return self._wire.tls

    async def transact(self, envelope: Envelope, before_final_dot: Callable[[], bool]) -> Outcome:
        """Send one message. What the server says is in the Outcome; nothing of it is raised.

        `before_final_dot` is asked once, right before the dot leaves; on False the connection is closed
        and the server has nothing. On cancellation the connection is closed too.
        """
        if self._busy:
            raise RuntimeError("one transaction at a time")
        self._busy = True
        reused = self._opening is None
        record = self._opening or Record()
        self._opening = None
        transaction = Transaction(
            self._wire, self.extensions, self._timeouts, record, envelope, before_final_dot
        )
        try:
            await transaction.run(self._reset_first)
        finally:
            self._busy = False
            self._reset_first = not transaction.clean
            self.transactions += 1
            self.idle_since = self._loop.time()
        return transaction.outcome(
            delivery.Conversation(
                server=self._address,
                tls=self._wire.tls,
                reused=reused,
                phase=transaction.phase,
                lines=record.lines(),
            )
        )

    async def check(self) -> bool:
        """Ask by RSET whether the server is still there; a session that does not answer is closed."""
        try:
            self._wire.send(b"RSET\r\n", 1)
            reply = await self._wire.reply(self._timeouts.command)
        except Broken:
            self._wire.abort()
            return False
        except BaseException:
            self._wire.abort()
            raise
        if reply.code >= 300:
            self._wire.abort()
            return False
        self._reset_first = False
        return self._wire.alive

    async def try_sender(self, mail_from: str) -> Reply | None:
        """Ask by MAIL FROM whether the server takes this sender, and take it back; None when it went away."""
        try:
            self._wire.send(f"MAIL FROM:<{mail_from}>\r\n".encode(), 1)
            said = await self._wire.reply(self._timeouts.command)
        except Broken:
            self._wire.abort()
            return None
        await self.check()
        return said

    async def close(self) -> None:
        """Say QUIT and close; a server that does not answer within 2 s is left anyway."""
        try:
            if self.usable:
                self._wire.send(b"QUIT\r\n", 1)
                await self._wire.reply(self._timeouts.quit)
        except Broken:
            pass  # it is gone already
        finally:
            self._wire.abort()
