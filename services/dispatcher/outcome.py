"""What an SMTP transaction came to: the words the adapter answers in.

Whatever the server says is a fact and stands in an Outcome; the phase says where it ended. `ambiguous`
is the one thing nobody may guess: the final dot may have left and no answer came, so the next hop may
already own the message.
"""

import re
import time
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from shared.events import delivery

Phase: TypeAlias = Literal[
    "resolve", "connect", "banner", "tls", "ehlo", "auth", "mail", "rcpt", "data", "body", "final", "done"
]
Kind: TypeAlias = Literal[
    "refused",  # the server answered 4xx or 5xx
    "network",  # refused, reset or closed connection
    "timeout",
    "protocol",  # what came is not SMTP
    "aborted",  # our own decision, before the final dot
    "no_session",  # our own pool had none: closed, or without a place
    "dns",
    "address_refused",
    "certificate",
    "tls_unavailable",
    "auth_unavailable",
    "invalid_address",
    "smtputf8_unsupported",
    "message_too_large",
    "content_lost",  # found while it was read for sending, before the final dot
]

TEXT_LIMIT = 500
LINE_LIMIT = 200

_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?= |\n|$)")


class Reply(msgspec.Struct, frozen=True, gc=False):
    """One reply of the server, as `250 2.1.0 ok`; further lines follow after a newline, without code.

    `at` is when it came, by the monotonic clock.
    """

    code: int
    line: str
    at: float = 0.0

    @property
    def text(self) -> str:
        """What follows the code."""
        return self.line[4:]

    @property
    def enhanced(self) -> str | None:
        """The RFC 3463 code, if the reply carries one of its own class (RFC 2034, 4)."""
        found = _ENHANCED.match(self.line, 4)
        return found[0] if found and found[1] == self.line[0] else None

    def short(self) -> "Reply":
        """Return the reply with its text cut to what is kept."""
        return self if len(self.line) <= TEXT_LIMIT else Reply(self.code, self.line[:TEXT_LIMIT], self.at)

    def __str__(self) -> str:
        return self.line[:TEXT_LIMIT]


class RecipientReply(msgspec.Struct, frozen=True, gc=False):
    """The reply that decided one recipient, and the phase it came in.

    Code 0: nobody decided; the connection ended first, or we did.
    A refusal in phase `auth` or `mail` is the account's, never the recipient's.
    """

    address: str
    code: int
    enhanced: str | None
    text: str
    phase: Phase


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction came to; `replies` has one entry per recipient, in their order.

    `final` is the reply that ended it: to the final dot, or the refusal of MAIL, DATA or the session.
    It is None when every recipient was refused by itself and where no server spoke.
    """

    phase: Phase
    replies: tuple[RecipientReply, ...]
    final: Reply | None
    conversation: delivery.Conversation
    ambiguous: bool = False
    error: str | None = None
    error_kind: Kind | None = None

    @property
    def was_stale(self) -> bool:
        """Whether it only shows that a reused session had ended: a fresh one deserves a try at once.

        Servers close idle sessions, and busy ones after so many messages, often with 421 at MAIL.
        """
        gone = self.final is None and self.error_kind == "network"
        ended = self.final is not None and self.final.code == 421
        return self.conversation.reused and self.phase == "mail" and (gone or ended)


class SmtpError(Exception):
    """No session could be opened; the message says in which phase and why."""

    def __init__(
        self,
        phase: Phase,
        kind: Kind,
        message: str,
        conversation: delivery.Conversation,
        reply: Reply | None = None,
    ) -> None:
        super().__init__(f"{phase}: {message}")
        self.phase, self.kind, self.message = phase, kind, message
        self.conversation, self.reply = conversation, reply and reply.short()

    def outcome(self, recipients: list[str]) -> Outcome:
        """Return the same as the outcome of a transaction that never began."""
        return Outcome(
            phase=self.phase,
            replies=tuple(decided(address, self.phase, self.reply) for address in recipients),
            final=self.reply,
            conversation=self.conversation,
            error=self.message,
            error_kind=self.kind,
        )


def decided(address: str, phase: Phase, reply: Reply | None) -> RecipientReply:
    """Return the recipient's result as decided by this reply, or by nobody."""
    if reply is None:
        return RecipientReply(address, 0, None, "", phase)
    return RecipientReply(address, reply.code, reply.enhanced, reply.line[4:TEXT_LIMIT], phase)


class Record:
    """The conversation as it is being had: what was said, what came back, when.

    Bounded: beyond 200 exchanges only the newest is kept, so that the end is always there.
    """

    __slots__ = ("_exchanges", "start")

    def __init__(self) -> None:
        self.start = time.monotonic()
        self._exchanges: list[tuple[str, Reply]] = []

    def add(self, verb: str, reply: Reply) -> None:
        """Keep one exchange."""
        if len(self._exchanges) >= LINE_LIMIT:
            self._exchanges.pop()
        self._exchanges.append((verb, reply))

    def extend(self, verbs: Sequence[str], replies: Sequence[Reply]) -> None:
        """Keep many exchanges."""
        if len(self._exchanges) + len(verbs) <= LINE_LIMIT:
            self._exchanges += zip(verbs, replies, strict=True)
        else:
            for verb, reply in zip(verbs, replies, strict=True):
                self.add(verb, reply)

    def note(self, verb: str, text: str) -> None:
        """Keep a step that has no SMTP reply: the connection, the TLS handshake."""
        self.add(verb, Reply(0, text, time.monotonic()))

    def lines(self) -> tuple[delivery.Line, ...]:
        """Return what was kept; times in milliseconds since the start."""
        start, limit = self.start, TEXT_LIMIT
        return tuple(
            [
                delivery.Line(
                    at_ms=int((reply.at - start) * 1e5) / 100, verb=verb[:limit], reply=reply.line[:limit]
                )
                for verb, reply in self._exchanges
            ]
        )
