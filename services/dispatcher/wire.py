"""The bytes of one SMTP connection: commands out, replies in, many of each under way at once (RFC 2920).

Once anything odd was seen (noise, a lost connection, an answer that never came) the connection is
broken for good, and the first reason is the one told.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from typing import cast

from aiosmtplib.errors import SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from services.dispatcher.outcome import Kind, Reply
from services.dispatcher.replies import Replies


class Broken(Exception):
    """The connection is of no more use; the message says what happened to it."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


class Wire(SMTPProtocol):
    """aiosmtplib's connection with a queue of replies in place of its single one. One reader at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.tls: str | None = None
        self._replies = Replies()
        self._queue = self._replies.queue
        self._sink: asyncio.WriteTransport | None = None
        self._failure: tuple[Kind, str] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._patience = 0.0
        self._step: Callable[[Sequence[Reply]], bool] | None = None
        self._step_at = 0
        self._patience_after = 0.0

    @property
    def alive(self) -> bool:
        """Whether the connection stands and nothing unexpected has come."""
        return self._failure is None and self._sink is not None and not self._sink.is_closing()

    @property
    def answered(self) -> bool:
        """Whether a reply waits to be read, or none will ever come."""
        return bool(self._queue) or self._failure is not None

    @property
    def congested(self) -> bool:
        """Whether bytes that were written are still with us."""
        return self._paused

    def hide(self, secrets: tuple[str, ...]) -> None:
        """Keep these texts out of every reply from here on, whatever the server echoes."""
        self._replies.hidden = secrets

    def owe(self) -> None:
        """Expect one more reply than commands were written."""
        self._replies.owed += 1

    def send(self, data: bytes, replies: int) -> None:
        """Write, and expect that many replies.

        Raises: Broken when the connection is gone, or the kernel said so to this very write.
        """
        if self._failure is not None:
            raise Broken(*self._failure)
        assert self._sink is not None
        self._replies.owed += replies
        self._sink.write(data)
        if self._sink.is_closing():
            raise Broken("network", "the connection was lost while it was written to")

    def shortcut(self, replies: int, step: Callable[[Sequence[Reply]], bool], timeout: float) -> None:
        """Call `step` with the waiting replies as soon as there are that many, instead of waking the reader.

        Where it returns True it has written on, and the reader sleeps until another reply comes, at most
        `timeout` seconds: one waking of the task less for every message.
        """
        self._step, self._step_at, self._patience_after = step, replies, timeout

    async def ready(self, timeout: float) -> None:
        """Wait until a reply waits and the shortcut has done its part.

        Raises: Broken when no reply comes within `timeout` seconds.
        """
        self._wait_until(timeout)
        await self._park()
        while not self._queue:
            await self._park()
        self._step = None

    def next(self) -> Reply | None:
        """Return the next reply if it is there already: most are, for they come many in a packet."""
        return self._queue.popleft() if self._queue else None

    async def reply(self, timeout: float) -> Reply:
        """Return the next reply. Replies that came before the connection broke are still returned.

        Raises: Broken when it does not come within `timeout` seconds or never will.
        """
        self._wait_until(timeout)
        while not self._queue:
            await self._park()
        return self._queue.popleft()

    def peek(self) -> Sequence[Reply]:
        """Return the replies that wait to be read; they go on waiting."""
        return self._queue

    def forget(self) -> None:
        """Take the waiting replies as read."""
        self._queue.clear()

    async def flushed(self, timeout: float) -> None:
        """Wait until the kernel has everything that was written, or a reply came early.

        Raises: Broken after `timeout` seconds, or when the connection is lost.
        """
        self._wait_until(timeout)
        while self._paused and not self._queue:
            await self._park()

    async def execute_command(self, *args: bytes, timeout: float | None = None) -> SMTPResponse:
        """Send one command and return its reply, by aiosmtplib: it refuses control characters.

        Raises: Broken.
        """
        if self._failure is not None:
            raise Broken(*self._failure)
        self._replies.owed += 1
        try:
            return await super().execute_command(*args, timeout=timeout)
        except SMTPServerDisconnected as error:
            raise Broken("network", str(error))

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """Return the reply in aiosmtplib's own form, for its `execute_command`."""
        reply = await self.reply(60.0 if timeout is None else timeout)
        return SMTPResponse(reply.code, reply.line)

    async def secure(self, context: ssl.SSLContext, host: str, timeout: float) -> None:
        """Put the connection under TLS. What the server said ahead of it breaks the connection.

        Raises: Broken; ssl.SSLError and OSError from the handshake.
        """
        if self._failure is not None:
            raise Broken(*self._failure)
        if self._queue or self._replies.midway:
            raise Broken("protocol", "the server sent data in clear where TLS must begin")
        if self._sink is None:
            raise Broken("network", "the connection was closed before TLS")
        transport = await self._loop.start_tls(
            self._sink, self, context, server_hostname=host, ssl_handshake_timeout=timeout
        )
        if transport is None:  # closed while the handshake ended
            raise Broken("network", "the connection was closed during TLS")
        # Not 0: the TLS transport then pauses at every write and is never told to go on.
        transport.set_write_buffer_limits(high=1, low=0)
        self.transport = self._sink = transport
        self._over_ssl = True
        name, version, _ = transport.get_extra_info("cipher")
        self.tls = f"{transport.get_extra_info('ssl_object').version() or version} {name}"

    def abort(self) -> None:
        """Close at once; what is still in our buffers never leaves."""
        self._fail("network", "the connection was closed by us")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; it must report as full whatever the kernel has not taken."""
        super().connection_made(transport)
        self._sink = cast(asyncio.WriteTransport, transport)
        self._sink.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        """Take in replies, and act on whole ones."""
        if self._failure is not None:
            return
        if wrong := self._replies.feed(data, time.monotonic()):
            self._fail("protocol", wrong)
        elif self._queue:
            self._proceed()

    def eof_received(self) -> bool:
        """Let the transport close: half a connection is of no use."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader, unless it was told a better reason before."""
        reason = str(exc) or type(exc).__name__ if exc else "closed by the server"
        if self._replies.midway:
            reason += ", in the middle of a reply"
        self._connection_lost = True
        self._fail("network", f"the connection was lost: {reason}")
        self.transport = self._sink = None
        self._command_lock = None

    def resume_writing(self) -> None:
        """Go on writing: the kernel has taken all."""
        self._paused = False
        self._wake()

    def _proceed(self) -> None:
        if self._step is not None and self._queue[-1].code != 421:
            if len(self._queue) < self._step_at:
                self._deadline = self._loop.time() + self._patience
                return
            step, self._step = self._step, None
            if step(self._queue):
                self._wait_until(self._patience_after)
                return
        self._wake()

    def _fail(self, kind: Kind, message: str) -> None:
        """End the connection for the first reason given; later ones only follow from it."""
        if self._failure is None:
            self._failure = (kind, message)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sink is not None:
            self._sink.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _wait_until(self, timeout: float) -> None:
        self._patience, self._deadline = timeout, self._loop.time() + timeout

    async def _park(self) -> None:
        """Sleep until something happens.

        Raises: Broken when the connection is, or when the deadline has passed.
        """
        if self._failure is not None:
            raise Broken(*self._failure)
        # One timer for the whole connection, moved on lazily: a timer per reply costs more than the reply.
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._deadline:
            self._set_timer()
        else:
            self._fail("timeout", f"nothing came from the server within {self._patience:g} s")
