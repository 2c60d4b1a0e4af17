"""One mail transaction on an open connection: MAIL, RCPT, DATA, the message, the final dot.

With PIPELINING everything up to DATA is one write (RFC 2920), else one command at a time. The phase is
kept at every step, for it decides between "safe to try again" and "the next hop may have it": only
between the final dot and its reply is a lost connection ambiguous.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing

from services.dispatcher import envelope as envelopes
from services.dispatcher.envelope import Envelope, Extensions
from services.dispatcher.outcome import Kind, Outcome, Phase, RecipientReply, Record, Reply, decided
from services.dispatcher.timeouts import Timeouts
from services.dispatcher.wire import Broken, Wire
from shared.events import delivery
from shared.runtime.message import ContentLost

_UNSPOKEN = (".", "(message)")  # names in the conversation for what is no command


class _Over(Exception):
    """The transaction has come to its end before the final dot; everything known is set."""


class _GivenUp(Exception):
    """Whoever asked for the transaction does not want it any more."""


class Transaction:
    """The state of one transaction; made for one `run` and thrown away."""

    __slots__ = (
        "_accepted", "_before_final_dot", "_finished", "_over", "_settled", "_stopped", "ambiguous", "clean",
        "envelope", "error", "final", "kind", "offered", "phase", "record", "timeouts", "wire",
    )  # fmt: skip

    def __init__(
        self,
        wire: Wire,
        offered: Extensions,
        timeouts: Timeouts,
        record: Record,
        envelope: Envelope,
        before_final_dot: Callable[[], bool],
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
        self._over = False
        self._before_final_dot = before_final_dot
        self._finished = False
        self._stopped: Exception | None = None

    async def run(self, reset_first: bool) -> None:
        """Carry it out. `clean` says afterwards whether the server waits for a new MAIL."""
        try:
            spoken = envelopes.commands(self.envelope, self.offered)
            if self.offered.pipelining and await self._express(spoken, reset_first):
                return
            await self._announce(spoken, reset_first)
            if self._over:
                return
            await self._transmit()
            await self._conclude()
        except envelopes.Refused as refused:
            self._end("mail", refused.kind, refused.message)
            self.clean = not reset_first
        except _GivenUp:
            self._end("body", "aborted", "given up right before the final dot")
            self.wire.abort()
        except ContentLost as lost:
            self._lose(str(lost))
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
                [
                    settled or decided(address, phase, final)
                    for address, settled in zip(self.envelope.recipients, self._settled, strict=True)
                ]
            ),
            final=final,
            conversation=conversation,
            ambiguous=self.ambiguous,
            error=self.error,
            error_kind=self.kind,
        )

    async def _announce(self, spoken: list[str], reset_first: bool) -> None:
        """Speak the envelope and DATA, unless that was done in one write, and read what comes to each."""
        if reset_first:
            await self._ask("RSET")
        await self._mail(spoken[0])
        await self._recipients(spoken[1:])
        await self._data()

    async def _express(self, spoken: list[str], reset_first: bool) -> bool:
        """Write all commands at once; read the replies here when all went well, which is most of all mail.

        False: the replies still wait to be read, one by one, with all that can be wrong with them.
        """
        verbs = ["RSET", *spoken, "DATA"] if reset_first else [*spoken, "DATA"]
        self.wire.send(("\r\n".join(verbs) + "\r\n").encode(), len(verbs))
        message = self.envelope.message
        if message.whole is None or message.size > envelopes.CHUNK:
            return False
        self.wire.shortcut(len(verbs), self._go_on, self.timeouts.final)
        await self.wire.ready(self.timeouts.data)
        if not self._finished or self._stopped or self.wire.congested:
            return False
        replies = self.wire.peek()
        if len(replies) <= len(verbs) or replies[-1].code >= 300:
            return False
        verbs.append(".")
        self.record.extend(verbs, replies)
        self.final, self.phase, self.clean = replies[-1].short(), "done", True
        self.wire.forget()
        return True

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

    def _go_on(self, replies: Sequence[Reply]) -> bool:
        """Write a small message as soon as everything up to DATA was accepted; say whether it was."""
        go = replies[-1]
        if go.code != 354:
            return False
        for reply in replies:
            if reply.code >= 300 and reply is not go:
                return False
        self._finished = True
        try:
            self.wire.owe()
            assert self.envelope.message.whole is not None
            self._finish(envelopes.stuffed(self.envelope.message.whole))
        except Exception as error:  # for the task to raise: this runs inside the event loop's callback
            self._stopped = error
            return False
        return True

    async def _transmit(self) -> None:
        """Write the message up to and with the final dot."""
        self.phase = "body"
        if self._stopped is not None:
            raise self._stopped
        if not self._finished:
            self.wire.owe()  # from here on a refusal may come at any moment
            last = await self._write_all_but_the_last()
            if self.wire.answered:
                await self._refused_early()
            self._finish(last)
        await self._taken()
        self.phase = "final"

    async def _write_all_but_the_last(self) -> bytes:
        """Write the message as it comes and return its last piece, which is due together with the dot.

        Raises: ContentLost, ContentUnavailable; the dot has not left, and the server has nothing.
        """
        last = b""
        async with aclosing(envelopes.streamed(self.envelope.message)) as pieces:
            async for piece in pieces:
                if last and piece:
                    await self._write(last)
                last = piece or last
        return last

    def _finish(self, last: bytes) -> None:
        """Ask, then write the last piece and the dot in one: nothing may come between them.

        Raises: _GivenUp, Broken.
        """
        if not self._before_final_dot():
            raise _GivenUp
        self.wire.send(last + b".\r\n", 0)

    async def _write(self, piece: bytes) -> None:
        if self.wire.answered:
            await self._refused_early()
        self.wire.send(piece, 0)
        await self._taken()

    async def _taken(self) -> None:
        """Wait until the kernel has all: as long as it has not, the dot is with us and nothing is ambiguous."""
        if self.wire.congested:
            await self.wire.flushed(self.timeouts.body)
            if self.wire.congested:
                await self._refused_early()

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

    def _lose(self, why: str) -> None:
        """End it without the message, for part of it is gone: nobody will get it, nor by a later attempt."""
        self._end("body", "content_lost", why)
        self._settled = [reply if reply and reply.code >= 500 else None for reply in self._settled]
        self.wire.abort()

    def _refused(self, phase: Phase, reply: Reply) -> None:
        self.final = reply.short()
        self._end(phase, "refused", str(reply))

    def _end(self, phase: Phase, kind: Kind, message: str) -> None:
        self.phase, self.kind, self.error, self._over = phase, kind, message, True
