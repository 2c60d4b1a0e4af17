"""The receiving side of SMTP (RFC 5321) for one connection, written for speed: no task, no await.

All commands that arrived together are answered together (RFC 2920), and only CRLF.CRLF ends a message, so a
sender that lets a bare line feed through is seen as it is. Answers 250 to a message only after it is stored.
"""

import asyncio
import re
from datetime import UTC, datetime
from typing import cast

from deploy.local.mailbox import faults
from deploy.local.mailbox.content import subject_of
from deploy.local.mailbox.storage import Storage

HOSTNAME = "mailbox.localhost"
_LONGEST_COMMAND = 4096
_MOST_RECIPIENTS = 1000
_SLOW_SECONDS = 5.0
_DROP_AFTER_BYTES = 400
_IDLE_SECONDS = 330.0
_END = b"\r\n.\r\n"
_MAIL = re.compile(r"FROM:\s*<([^<>\s]*)>(?:\s+(.*))?\Z", re.IGNORECASE)
_RCPT = re.compile(r"TO:\s*<([^<>\s]+)>(?:\s+(.*))?\Z", re.IGNORECASE)
_MAIL_PARAMETERS = {"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"}
_RCPT_PARAMETERS = {"NOTIFY", "ORCPT"}


class Session(asyncio.Protocol):
    """One connection and the transaction under way on it."""

    _transport: asyncio.Transport
    _mail_from: str | None
    _rcpt_to: list[str]

    def __init__(self, storage: Storage, *, largest: int, slow_seconds: float = _SLOW_SECONDS) -> None:
        self._storage = storage
        self._largest = largest
        self._slow_seconds = slow_seconds
        self._received = bytearray()
        self._replies: list[str] = []
        self._greeted = False
        self._content = False  # between 354 and the final dot
        self._too_large = False
        self._scanned = 0
        self._waiting = False  # for a late reply, or for ever
        self._closing = False
        self._forget_transaction()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        # A cast: uvloop's transports have the methods and not the class.
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._idle_since = self._loop.time()
        self._idle_check = self._loop.call_later(_IDLE_SECONDS, self._check_idle)
        self._reply("220", f"{HOSTNAME} ESMTP Sendlog development mailbox")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._closing = True
        self._idle_check.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what arrived as far as it goes."""
        self._idle_since = self._loop.time()
        self._received += data
        self._go_on()

    def _go_on(self) -> None:
        while not self._waiting and not self._closing:
            if not (self._take_content() if self._content else self._take_command()):
                break
        self._flush()

    def _take_command(self) -> bool:
        end = self._received.find(b"\n")
        if end < 0 or end > _LONGEST_COMMAND:
            if len(self._received) > _LONGEST_COMMAND:
                self._reply("500", "5.5.6 Line too long")
                self._close()
            return False
        line = self._received[:end].rstrip(b"\r").decode("utf-8", "replace")
        del self._received[: end + 1]
        verb, _, rest = line.partition(" ")
        command = _COMMANDS.get(verb.upper())
        if command is None:
            self._reply("500", "5.5.2 Command not known")
        else:
            command(self, rest.strip())
        return True

    def _ehlo(self, rest: str) -> None:
        self._greeted = True
        self._forget_transaction()
        extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8", f"SIZE {self._largest}", "DSN"]
        for line in [HOSTNAME, *extensions]:
            self._replies.append(f"250-{line}")
        self._reply("250", "ENHANCEDSTATUSCODES")

    def _helo(self, rest: str) -> None:
        self._greeted = True
        self._forget_transaction()
        self._reply("250", HOSTNAME)

    def _mail(self, rest: str) -> None:
        found = _MAIL.match(rest)
        if not self._greeted or self._mail_from is not None:
            self._reply("503", "5.5.1 Say EHLO first" if not self._greeted else "5.5.1 Sender already given")
        elif found is None:
            self._reply("501", "5.5.4 Write MAIL FROM:<address>")
        else:
            self._begin_transaction(found[1], _parameters(found[2]))

    def _begin_transaction(self, address: str, parameters: dict[str, str]) -> None:
        self._utf8 = "SMTPUTF8" in parameters
        size = parameters.get("SIZE", "0")
        if unknown := parameters.keys() - _MAIL_PARAMETERS:
            self._reply("555", f"5.5.4 Parameter {min(unknown)} not known")
        elif not size.isdigit():
            self._reply("501", "5.5.4 SIZE is a number")
        elif int(size) > self._largest:
            self._reply("552", "5.3.4 Message too large")
        elif self._acceptable(address):
            self._mail_from = address
            self._reply("250", "2.1.0 Sender ok")

    def _rcpt(self, rest: str) -> None:
        found = _RCPT.match(rest)
        if self._mail_from is None:
            self._reply("503", "5.5.1 Give the sender first")
        elif found is None:
            self._reply("501", "5.5.4 Write RCPT TO:<address>")
        elif unknown := _parameters(found[2]).keys() - _RCPT_PARAMETERS:
            self._reply("555", f"5.5.4 Parameter {min(unknown)} not known")
        elif len(self._rcpt_to) >= _MOST_RECIPIENTS:
            self._reply("452", "4.5.3 Too many recipients")
        elif self._acceptable(found[1]):
            self._add_recipient(found[1])

    def _add_recipient(self, address: str) -> None:
        refusal = faults.refusal(address)
        if refusal is None:
            self._rcpt_to.append(address)
            self._reply("250", "2.1.5 Recipient ok")
            return
        self._reply(str(refusal.code), refusal.text)
        if refusal.closes:
            self._close()

    def _acceptable(self, address: str) -> bool:
        if address.isascii() or self._utf8:
            return True
        self._reply("553", "5.6.7 Address needs SMTPUTF8")
        return False

    def _data(self, rest: str) -> None:
        if not self._rcpt_to:
            before = "no valid recipients" if self._mail_from is not None else "give the sender first"
            self._reply("554" if self._mail_from is not None else "503", f"5.5.1 {before.capitalize()}")
            return
        self._content, self._too_large, self._scanned = True, False, 0
        self._fate = faults.fate(self._rcpt_to)
        self._reply("354", "End with a line that is a single dot")

    def _take_content(self) -> bool:
        received = self._received
        if received.startswith(b".\r\n"):
            end, after = 0, 3
        elif (found := received.find(_END, max(0, self._scanned - len(_END)))) >= 0:
            end, after = found + 2, found + len(_END)
        else:
            self._await_more_content()
            return False
        raw = bytes(memoryview(received)[:end])
        del received[:after]
        self._content = False
        self._finish(raw)
        return True

    def _await_more_content(self) -> None:
        if self._fate is faults.Fate.DROPPED and len(self._received) > _DROP_AFTER_BYTES:
            self._abort()
        if len(self._received) > self._largest:
            self._too_large = True
            del self._received[: -len(_END)]
        self._scanned = len(self._received)

    def _finish(self, raw: bytes) -> None:
        if self._fate is faults.Fate.DROPPED:
            self._abort()
            return
        reply = ("552", "5.3.4 Message too large") if self._too_large else self._store(raw)
        fate, stored = self._fate, reply[0] == "250"
        self._forget_transaction()
        if stored and fate is faults.Fate.KEPT_THEN_DROPPED:
            self._abort()
        elif stored and fate is faults.Fate.KEPT_SILENTLY:
            self._waiting = True
        elif stored and fate is faults.Fate.KEPT_SLOWLY:
            self._waiting = True
            self._loop.call_later(self._slow_seconds, self._reply_late, reply)
        else:
            self._reply(*reply)

    def _store(self, stuffed: bytes) -> tuple[str, str]:
        # RFC 5321 4.5.2: a dot that begins a line was put there by the sender's side of the protocol.
        raw = stuffed.replace(b"\r\n.", b"\r\n")
        if raw.startswith(b"."):
            raw = raw[1:]
        assert self._mail_from is not None
        received_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            number = self._storage.append(self._mail_from, self._rcpt_to, received_at, subject_of(raw), raw)
        except OSError as error:
            return "452", f"4.3.1 Not stored: {error.strerror}"
        return "250", f"2.0.0 Stored as {number}"

    def _reply_late(self, reply: tuple[str, str]) -> None:
        if not self._closing:
            self._waiting = False
            self._reply(*reply)
            self._go_on()

    def _rset(self, rest: str) -> None:
        self._forget_transaction()
        self._reply("250", "2.0.0 Forgotten")

    def _noop(self, rest: str) -> None:
        self._reply("250", "2.0.0 Ok")

    def _vrfy(self, rest: str) -> None:
        self._reply("252", "2.0.0 Send it and see")

    def _quit(self, rest: str) -> None:
        self._reply("221", "2.0.0 Bye")
        self._close()

    def _forget_transaction(self) -> None:
        self._mail_from = None
        self._rcpt_to = []
        self._utf8 = False
        self._fate = faults.Fate.DELIVERED

    def _reply(self, code: str, text: str) -> None:
        self._replies.append(f"{code} {text}")

    def _flush(self) -> None:
        if self._replies and not self._transport.is_closing():
            self._transport.write(("\r\n".join(self._replies) + "\r\n").encode())
        self._replies.clear()

    def _close(self) -> None:
        self._flush()
        self._closing = True
        self._transport.close()

    def _abort(self) -> None:
        self._closing = True
        self._transport.abort()

    def _check_idle(self) -> None:
        left = self._idle_since + _IDLE_SECONDS - self._loop.time()
        if left > 0 or self._waiting:
            self._idle_check = self._loop.call_later(max(left, 1.0), self._check_idle)
        else:
            self._reply("421", "4.4.2 Idle for too long")
            self._close()


_COMMANDS = {
    "EHLO": Session._ehlo,
    "HELO": Session._helo,
    "MAIL": Session._mail,
    "RCPT": Session._rcpt,
    "DATA": Session._data,
    "RSET": Session._rset,
    "NOOP": Session._noop,
    "VRFY": Session._vrfy,
    "QUIT": Session._quit,
}


def _parameters(text: str | None) -> dict[str, str]:
    pairs = (word.partition("=") for word in (text or "").split())
    return {name.upper(): value for name, _, value in pairs}
