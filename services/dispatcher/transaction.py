"""One mail transaction on an open connection: MAIL, RCPT, DATA, the message, the final dot.

With PIPELINING everything up to DATA is one write (RFC 2920), else one command at a time. The phase is
kept at every step, for it decides between "safe to try again" and "the next hop may have it": only
between the final dot and its reply is a lost connection ambiguous.
"""

from collections.abc import Callable

import msgspec

from services.dispatcher import envelope as envelopes
from services.dispatcher.envelope import Envelope, Extensions
from services.dispatcher.outcome import Kind, Outcome, Phase, RecipientReply, Record, Reply, decided
from services.dispatcher.wire import Broken, Wire
from shared.events import delivery


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long each answer is waited for, in seconds.

    The final one is long: many servers scan before they answer, and giving up early makes a duplicate.
    """

    resolve: float = 15.0
    connect: float = 30.0
    tls: float = 30.0
    command: float = 60.0
    data: float = 120.0
    body: float = 180.0
    final: float = 600.0
    quit: float = 2.0


_UNSPOKEN = (".", "(message)")  # names in the conversation for what is no command


class _Over(Exception):
    """The transaction has come to its end before the final dot; everything known is set."""


class Transaction:
    """The state of one transaction; made for one `run` and thrown away."""

    def __init__(
        self, wire: Wire, offered: Extensions, timeouts: Timeouts, record: Record, envelope: Envelope
    ) -> None:
        self.wire, self.offered, self.timeouts = wire, offered, timeouts
        self.record, self.envelope = record, envelope
        self.phase: Phase = "mail"
        self.final: Reply | None = None
        self.error: str | None = None
        self.kind: Kind | None = None
        self.ambiguous = False
        self.clean = False
        self._settled: list[RecipientReply | None] = [None] * len(envelope.recipients)
        self._accepted = 0
        self._written = ""
        self._over = False

    async def run(self, before_final_dot: Callable[[], bool], reset_first: bool) -> None:
        """Carry it out. `clean` says afterwards whether the server waits for a new MAIL."""
        try:
            await self._announce(reset_first)
            if self._over:
                return
            await self._transmit(before_final_dot)
            await self._conclude()
        except envelopes.Refused as refused:
            self._end("mail", refused.kind, refused.message)
            self.clean = True
        except _Over:
            pass
        except Broken as broken:
            if not self._over:  # what the server has said before it went still holds
                self._end(self.phase, broken.kind, broken.message)
                self.ambiguous = self.phase == "final"
            self.wire.abort()
        except BaseException:
            self.wire.abort()
            raise

    def outcome(self, conversation: delivery.Conversation) -> Outcome:
        """Return what `run` came to. Recipients nobody decided carry the final reply, or code 0."""
        final, phase = self.final, self.phase
        return Outcome(
            phase=phase,
            replies=tuple(
                settled or decided(address, phase, final)
                for address, settled in zip(self.envelope.recipients, self._settled, strict=True)
            ),
            final=final,
            conversation=conversation,
            ambiguous=self.ambiguous,
            error=self.error,
            error_kind=self.kind,
        )

    async def _announce(self, reset_first: bool) -> None:
        """Speak the envelope and DATA, and read what the server says to each."""
        spoken = envelopes.commands(self.envelope, self.offered)
        if self.offered.pipelining:
            reset = "RSET\r\n" if reset_first else ""
            rcpt = "\r\n".join(spoken.rcpt)
            self.wire.send(
                f"{reset}{spoken.mail}\r\n{rcpt}\r\nDATA\r\n".encode(),
                len(spoken.rcpt) + 2 + reset_first,
            )
        if reset_first:
            await self._ask("RSET")
        await self._mail(spoken.mail)
        await self._recipients(spoken.rcpt)
        await self._data()

    async def _mail(self, command: str) -> None:
        reply = await self._ask(command)
        if reply.code >= 400:
            self._refused("mail", reply)
        elif reply.code >= 300:
            raise Broken("protocol", f"the server answered MAIL with {reply}")

    async def _recipients(self, commands: list[str]) -> None:
        if not self._over:
            self.phase = "rcpt"
        for index, command in enumerate(commands):
            if self._over and not self.offered.pipelining:
                return
            reply = await self._ask(command)
            if self._over:
                continue
            if 300 <= reply.code < 400:
                raise Broken("protocol", f"the server answered RCPT with {reply}")
            if reply.code < 300:
                self._accepted += 1
            else:
                self._settled[index] = decided(self.envelope.recipients[index], "rcpt", reply)
        if not self._over and not self._accepted:
            self._end("rcpt", "refused", "the server refused every recipient")

    async def _data(self) -> None:
        if self._over and not self.offered.pipelining:
            return
        if not self._over:
            self.phase = "data"
        reply = await self._ask("DATA", self.timeouts.data)
        if self._over:
            if reply.code == 354:
                await self._lone_dot()
        elif reply.code >= 400:
            self._refused("data", reply)
        elif reply.code != 354:
            raise Broken("protocol", f"the server answered DATA with {reply}")

    async def _lone_dot(self) -> None:
        """End a DATA that nobody is to receive: the server must not be left waiting (RFC 2920, 3.1)."""
        self.wire.send(b".\r\n", 1)
        await self._ask(".")
        self.clean = True

    async def _transmit(self, before_final_dot: Callable[[], bool]) -> None:
        """Write the message up to and with the final dot.

        The last piece and the dot are one write, so the decision falls right before it; in a message of
        several pieces the kernel has taken all the others by then.
        """
        self.phase = "body"
        self.wire.owe()  # from here on a refusal may come at any moment
        last = b""
        for piece in envelopes.pieces(self.envelope.message):
            if last:
                await self._write(last)
            last = piece
        if not before_final_dot():
            self._end("body", "aborted", "given up right before the final dot")
            self.wire.abort()
            raise _Over
        await self._write(last + b".\r\n")
        self.phase = "final"

    async def _write(self, piece: bytes) -> None:
        """Hand a piece to the kernel. What the kernel did not take whole never ends a message."""
        if self.wire.answered:
            await self._refused_early()
        self.wire.send(piece, 0)
        if self.wire.congested:
            await self.wire.flushed(self.timeouts.body)
            if self.wire.congested:
                await self._refused_early()
        elif not self.wire.is_connected:
            raise Broken("network", "the connection was lost while the message was written")

    async def _refused_early(self) -> None:
        """Take a refusal that came in the middle of the message, and send no more of it.

        Raises: Broken when it is none; _Over.
        """
        reply = await self._ask("(message)")
        if reply.code < 400:
            raise Broken("protocol", f"the server answered before the message had ended: {reply}")
        self._refused("body", reply)
        self.wire.abort()
        raise _Over

    async def _conclude(self) -> None:
        reply = await self._ask(".", self.timeouts.final)
        self.clean = True
        if reply.code >= 400:
            self._refused("final", reply)
        elif reply.code >= 300:
            raise Broken("protocol", f"the server answered the message with {reply}")
        else:
            self.final, self.phase = reply.short(), "done"

    async def _ask(self, command: str, timeout: float | None = None) -> Reply:
        """Speak the command, unless it was pipelined, and return its reply. 421 ends everything."""
        if not self.offered.pipelining and command not in _UNSPOKEN:
            self.wire.send(f"{command}\r\n".encode(), 1)
        reply = self.wire.next() or await self.wire.reply(timeout or self.timeouts.command)
        self.record.add(command, reply)
        if reply.code == 421:
            if not self._over:
                self._refused(self.phase, reply)
            self.wire.abort()
            raise _Over
        return reply

    def _refused(self, phase: Phase, reply: Reply) -> None:
        self.final = reply.short()
        self._end(phase, "refused", str(reply))

    def _end(self, phase: Phase, kind: Kind, message: str) -> None:
        self.phase, self.kind, self.error, self._over = phase, kind, message, True
