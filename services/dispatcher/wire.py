"""The bytes of one SMTP connection: commands out, replies in, each counted against the other.

Many commands may be under way at once (RFC 2920), so a reply is only believed when a command is owed
one. Anything else (noise, a line that never ends, data injected before TLS) breaks the connection for
good: a reply taken for the next command's would report mail as sent that was not.
"""

import asyncio
import re
import ssl
import time
from collections import deque
from typing import cast

from aiosmtplib.errors import SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from services.dispatcher.outcome import Kind, Reply

MAX_LINE = 4096
MAX_LINES = 100
MAX_TEXT = 8192

_CODES = {str(code): code for code in range(200, 560)}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Broken(Exception):
    """The connection is of no more use; the message says what happened to it."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


class Wire(SMTPProtocol):
    """aiosmtplib's connection with a queue of replies in place of its single one.

    One reader at a time. `hidden` texts never appear in a reply, whatever the server echoes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.hidden: tuple[str, ...] = ()
        self.tls: str | None = None
        self._sink: asyncio.WriteTransport | None = None
        self._replies: deque[Reply] = deque()
        self._owed = 1  # the banner
        self._rest = b""
        self._lines: list[str] = []
        self._failure: tuple[Kind, str] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._patience = 0.0

    @property
    def alive(self) -> bool:
        """Whether the connection stands and nothing unexpected has come."""
        return self._failure is None and self.is_connected

    @property
    def answered(self) -> bool:
        """Whether a reply waits to be read, or none will ever come."""
        return bool(self._replies) or self._failure is not None

    @property
    def congested(self) -> bool:
        """Whether bytes that were written are still with us."""
        return self._paused

    def owe(self) -> None:
        """Expect one more reply than commands were written."""
        self._owed += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; it must report as full whatever the kernel has not taken."""
        super().connection_made(transport)
        self._sink = cast(asyncio.WriteTransport, transport)
        self._sink.set_write_buffer_limits(high=0)

    def send(self, data: bytes, replies: int) -> None:
        """Write, and owe that many replies.

        Raises: Broken when the connection is gone.
        """
        if self._failure is not None:
            raise Broken(*self._failure)
        if self._sink is None or self._sink.is_closing():
            raise Broken("network", "the connection is closed")
        self._owed += replies
        self._sink.write(data)

    def next(self) -> Reply | None:
        """Return the next reply if it is there already: most are, for they come many in a packet."""
        return self._replies.popleft() if self._replies else None

    async def reply(self, timeout: float) -> Reply:
        """Return the next reply. Replies that came before the connection broke are still returned.

        Raises: Broken when it does not come within `timeout` seconds or never will.
        """
        self._patience, self._deadline = timeout, self._loop.time() + timeout
        while not self._replies:
            await self._park()
        return self._replies.popleft()

    async def execute_command(self, *args: bytes, timeout: float | None = None) -> SMTPResponse:
        """Send one command and return its reply, by aiosmtplib: it refuses control characters.

        Raises: Broken.
        """
        if self._failure is not None:
            raise Broken(*self._failure)
        self._owed += 1
        try:
            return await super().execute_command(*args, timeout=timeout)
        except SMTPServerDisconnected as error:
            raise Broken("network", str(error))

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """Return the reply in aiosmtplib's own form, for its `execute_command`."""
        reply = await self.reply(60.0 if timeout is None else timeout)
        return SMTPResponse(reply.code, reply.line)

    async def flushed(self, timeout: float) -> None:
        """Wait until the kernel has everything that was written, or a reply came early.

        Raises: Broken after `timeout` seconds, or when the connection is lost.
        """
        self._patience, self._deadline = timeout, self._loop.time() + timeout
        while self._paused and not self._replies:
            await self._park()

    async def secure(self, context: ssl.SSLContext, host: str, timeout: float) -> None:
        """Put the connection under TLS. What the server said ahead of it breaks the connection.

        Raises: Broken; ssl.SSLError and OSError from the handshake.
        """
        if self._failure is not None or self._replies or self._rest or self._lines:
            raise Broken("protocol", "the server sent data in clear where TLS must begin")
        if self._sink is None:
            raise Broken("network", "the connection was closed before TLS")
        transport = await self._loop.start_tls(
            self._sink,
            self,
            context,
            server_hostname=host,
            ssl_handshake_timeout=timeout,
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

    def data_received(self, data: bytes) -> None:
        """Take in lines, and wake the reader once a whole reply is there."""
        at = time.monotonic()
        if self._rest:
            data = self._rest + data
        lines = data.split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._failure is not None:
                return
            self._take(line, at)
        if self._rest and self._failure is None:
            self._suspect()
        if self._replies and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def eof_received(self) -> bool:
        """Let the transport close: half a connection is of no use."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader, unless it was told a better reason before."""
        reason = str(exc) or type(exc).__name__ if exc else "closed by the server"
        if self._rest or self._lines:
            reason += ", in the middle of a reply"
        self._connection_lost = True
        self._fail("network", f"the connection was lost: {reason}")
        self.transport = self._sink = None
        self._command_lock = None

    def resume_writing(self) -> None:
        """Go on writing: the kernel has taken all."""
        self._paused = False
        self._wake()

    def _take(self, raw: bytes, at: float) -> None:
        if len(raw) > MAX_LINE:
            return self._fail("protocol", f"the server sent a line of more than {MAX_LINE} bytes")
        line = self._clean(raw)
        code, mark = _CODES.get(line[:3]), line[3:4]
        if code is None or mark not in " -" or (self._lines and line[:3] != self._lines[0][:3]):
            return self._fail("protocol", f"the server sent what is no SMTP reply: {line[:200]!r}")
        if self._owed == 0:
            return self._fail("protocol", f"the server sent an unsolicited reply: {line[:200]!r}")
        if mark == "-" or self._lines:
            self._lines.append(line[4:] if self._lines else f"{code} {line[4:]}")
            if len(self._lines) > MAX_LINES:
                return self._fail("protocol", f"the server sent a reply of more than {MAX_LINES} lines")
            if mark == "-":
                return None
            line = "\n".join(self._lines)[:MAX_TEXT]
            self._lines = []
        self._owed -= 1
        self._replies.append(Reply(code, line, at))
        return None

    def _clean(self, raw: bytes) -> str:
        line = raw.decode("utf-8", "replace").rstrip("\r ")
        for secret in self.hidden:
            if secret in line:
                line = line.replace(secret, "***")
        return line if line.isprintable() else _CONTROLS.sub("\ufffd", line)

    def _shown(self, line: bytes) -> str:
        return self._clean(line[:200])

    def _suspect(self) -> None:
        """Judge a line that has not ended: noise and floods are not waited for."""
        start = self._rest[:3].decode("latin-1")
        if self._owed == 0:
            self._fail("protocol", f"the server sent unsolicited data: {self._shown(self._rest)!r}")
        elif len(self._rest) > MAX_LINE:
            self._fail("protocol", f"the server sent a line of more than {MAX_LINE} bytes")
        elif not (start.isascii() and start.isdigit()) or (len(start) == 3 and start not in _CODES):
            self._fail("protocol", f"the server sent what is no SMTP reply: {self._shown(self._rest)!r}")

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
