"""The sessions of the inbound door: how many there may be, how long, and what they hold of messages together.

Whoever is one too many hears 421 or 452 and comes again: a full memory would answer nobody. LMTP answers once for
each recipient (RFC 2033 4.2).
"""

import asyncio
import re
from typing import Any, Final, cast

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, syntax

from services.tracker import mime

AT_MOST: Final = 64
WITHIN: Final = 60.0  # seconds without a command; a message has to come in them, too
ROOM: Final = 96 * 1024 * 1024  # bytes of messages, of all sessions together
PIECE: Final = 256 * 1024  # bytes of a message that are read at once, at most
_END: Final = b"\r\n.\r\n"
# A path as everybody writes it (RFC 5321 4.1.2); aiosmtpd's way takes as long as a tenth of reading the report.
_PATH: Final = re.compile(
    r"<((?:[\w!#$%&'*+/=?^`{|}~-]+\.)*+[\w!#$%&'*+/=?^`{|}~-]++@(?:[A-Za-z0-9-]+\.)*+[A-Za-z0-9-]++)?>((?: .*)?)",
    re.ASCII,
)
_MANY: Final = b"421 4.3.2 too many connections; try again\r\n"
_FULL: Final = b"421 4.3.1 too much mail at once; try again\r\n"


class Doorway:
    """What the sessions of one listener share. `held` is in bytes; new messages begin while half the room is free."""

    def __init__(self, at_most: int = AT_MOST, room: int = ROOM) -> None:
        self.at_most, self.room = at_most, room
        self.inside: set[asyncio.BaseProtocol] = set()
        self.held = 0


class Session(SMTP):
    """One connection, counted from its first moment to its last."""

    line_length_limit = PIECE

    def __init__(self, doorway: Doorway, handler: object, **options: Any) -> None:
        super().__init__(handler, timeout=WITHIN, **options)
        self._doorway = doorway
        self._reading = False
        self._held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or say that there is no room."""
        if len(self._doorway.inside) >= self._doorway.at_most:
            _hang_up(transport, _MANY)
            return
        self._doorway.inside.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Make room."""
        if self in self._doorway.inside:
            self._doorway.inside.discard(self)
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a message; all messages together have so much room and no more."""
        if self._reading:
            self._held += len(data)
            self._doorway.held += len(data)
            if self._doorway.held > self._doorway.room and self.transport is not None:
                _hang_up(self.transport, _FULL)
                return
        super().data_received(data)

    def _timeout_cb(self) -> None:
        """End the session; merely closed, it would stay for as long as nobody reads its answers."""
        cast(asyncio.WriteTransport, self.transport).abort()

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        """Read a message and answer it; what it takes is counted until then."""
        if 2 * self._doorway.held > self._doorway.room:
            await self.push("452 4.3.1 too much mail at once; try again")
            return
        if await self.check_helo_needed():
            return
        if arg or not (self.envelope and self.envelope.rcpt_tos):
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        self._reading = True
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            self.envelope.content = await self._message()
            status = "552 5.3.4 this message is too large"
            if self.envelope.content is not None:
                status = await self.event_handler.handle_DATA(self, self.session, self.envelope)
            self.envelope = self._create_envelope()
            await self.push(status)
        finally:
            self._reading = False
            self._doorway.held -= self._held
            self._held = 0

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Return the address of a path and the parameters behind it."""
        usual = _PATH.fullmatch(arg)
        return (usual[1] or "<>", usual[2].strip()) if usual else super()._getaddr(arg)

    async def _message(self) -> bytes | None:
        """Return what comes until the line that is a dot, or None: more than is taken.

        aiosmtpd reads line by line, which takes longer than reading the report. Lines have no bound of their own:
        reports hand on such as no server should have let through, and refusing the report would help nobody.
        """
        data, is_too_much = bytearray(b"\r\n"), False
        while not data.endswith(_END):
            try:
                data += await self._reader.readuntil(_END[2:])
            except asyncio.LimitOverrunError as error:
                data += await self._reader.read(error.consumed)
            if len(data) > mime.MAX_BYTES + len(_END):
                is_too_much = True
                del data[: -len(_END)]
        return None if is_too_much else bytes(data[:-3]).replace(b"\r\n.", b"\r\n")[2:]


def _hang_up(transport: asyncio.BaseTransport, why: bytes) -> None:
    # Not asked for its class: uvloop's transports are of none of asyncio's.
    cast(asyncio.WriteTransport, transport).write(why)
    transport.close()


class LmtpSession(Session, LMTP):
    """The same by LMTP: what comes after the message is said once for each recipient."""

    _answers = 1

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        """Answer for each recipient that was taken, whatever there is to answer."""
        try:
            await super().smtp_DATA(arg)
        finally:
            self._answers = 1

    async def push(self, status: Any) -> None:
        """Say it, as often as it is waited for."""
        for _ in range(self._answers):
            await super().push(status)
        if isinstance(status, str) and status.startswith("354") and self.envelope:
            self._answers = len(self.envelope.rcpt_tos)
