"""IMAP on a connected socket: the standard library's client with bounds on time and bytes, and with IDLE.

A server may be slow, silent or hostile: every command ends, and none of them fills our memory. What is read ahead
stays in a buffer of our own, so that a wait which timed out can go on.
"""

import imaplib
import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Final

COMMAND: Final = 60.0  # seconds for one command
COMMAND_BYTES: Final = 4 * 1024 * 1024
_CHUNK: Final = 65_536
_MAX_LINE: Final = 1_000_000


class Wire(imaplib.IMAP4):
    """One connection; blocking, so it lives in a thread. `context` means TLS from the first byte."""

    def __init__(self, sock: socket.socket, host: str, context: ssl.SSLContext | None) -> None:
        self._given, self._context = sock, context
        self._buffer = bytearray()
        self._deadline, self._budget = 0.0, 0
        self.allow()
        super().__init__(host)

    def allow(self, seconds: float = COMMAND, bytes_: int = COMMAND_BYTES) -> None:
        """Say how long the next command may take and how much it may answer."""
        self._deadline, self._budget = time.monotonic() + seconds, bytes_

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Take the connected socket, for the superclass's constructor."""
        self.host, self.port, self.sock = host, port, self._given
        self.sock.settimeout(timeout or COMMAND)
        if self._context is not None:
            self._wrap(self._context)

    def secure(self, context: ssl.SSLContext) -> None:
        """Go over to TLS (STARTTLS). Raises: error when it is refused, or words in clear stand behind the consent."""
        if "STARTTLS" not in self.capabilities:
            raise self.error("TLS is required and the server does not offer STARTTLS")
        answer, said = self._simple_command("STARTTLS")
        if answer != "OK":
            raise self.error(f"TLS is required and the server refused STARTTLS: {said!r}")
        if self._buffer:  # whoever sits between could have put them there
            raise self.error("the server said more than its consent before TLS")
        self._wrap(context)
        self.refresh()

    def refresh(self) -> None:
        """Ask for the capabilities again: TLS and the login change them."""
        self._get_capabilities()

    @property
    def tls(self) -> str | None:
        """Return the version of TLS, None in clear."""
        return self.sock.version() if isinstance(self.sock, ssl.SSLSocket) else None

    def idle_for(self, seconds: float) -> None:
        """Return when a message has arrived, or the time is over (RFC 2177). Raises: error, abort, OSError."""
        self.allow()
        tag = self._new_tag()
        self.send(tag + b" IDLE\r\n")
        moved = False
        while not (line := self._line()).startswith(b"+"):
            if line.startswith(tag):
                raise self.error(f"IDLE was refused: {line!r}")
            moved = moved or _is_news(line)
        self.allow(seconds)
        try:
            while not moved:
                moved = _is_news(self._line())
        except TimeoutError:
            pass  # nothing came; what was read of a line stays in the buffer
        self.allow()
        self.send(b"DONE\r\n")
        while not self._line().startswith(tag):
            pass

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer at the connection's end."""
        if size > self._budget + len(self._buffer):
            raise self.abort(f"the server announced {size} bytes, more than were asked for")
        while len(self._buffer) < size and self._fill():
            pass
        return self._taken(size)

    def readline(self) -> bytes:
        """Return a line with its end."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_LINE:
                raise self.abort("the server sent a line without end")
            if not self._fill():
                return self._taken(len(self._buffer))
        return self._taken(end + 1)

    def send(self, data: Any) -> None:
        """Send all of it."""
        self.sock.settimeout(self._left())
        self.sock.sendall(data)

    def shutdown(self) -> None:
        """Close the socket."""
        self.sock.close()

    def cut(self) -> None:
        """End the connection from another thread: whoever waits for it is woken."""
        with suppress(OSError):  # it may have ended already
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # not TLS's own: another thread is in it

    def _wrap(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def _line(self) -> bytes:
        line = self.readline()
        if not line.endswith(b"\n"):
            raise self.abort("the server ended the connection")
        return line

    def _taken(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fill(self) -> bool:
        self.sock.settimeout(self._left())
        data = self.sock.recv(_CHUNK)
        self._budget -= len(data)
        if self._budget < 0:
            raise self.abort("the server answered more than was asked for")
        self._buffer += data
        return bool(data)

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server took too long")
        return left


def _is_news(line: bytes) -> bool:
    return line.rstrip().upper().endswith((b" EXISTS", b" RECENT"))
