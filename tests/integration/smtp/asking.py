"""What the SMTP tests ask of a session: shorthand with the defaults of a test."""

import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.dispatcher.envelope import Envelope
from services.dispatcher.opening import Server
from services.dispatcher.outcome import Outcome, SmtpError
from services.dispatcher.smtp import Session
from services.dispatcher.timeouts import Timeouts
from shared.runtime.message import Message

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
MESSAGE = b"Subject: hello\r\nMessage-ID: <1@x.test>\r\n\r\nbody\r\n"
LARGE = MESSAGE + b"seventy-six characters, as an attachment has them, over and over again.....\r\n" * 200_000
# Long enough for a machine under load, short enough to wait for in a test.
SHORT = Timeouts(resolve=5, connect=5, tls=0.5, command=0.3, data=0.3, body=0.6, final=0.3, quit=0.2)
LOGIN: dict[str, Any] = {"auth": "password", "username": "ann@x.test", "secret": "hunter2-secret"}
PATIENT = Timeouts(command=10, data=10, body=20, final=20, quit=1)


def a_server(port: int, **fields: Any) -> Server:
    """Return a server on loopback, without TLS and AUTH unless told."""
    values: dict[str, Any] = {"host": "127.0.0.1", "port": port, "tls": "none", "helo": "client.test"}
    return Server(**(values | fields))


def an_envelope(*recipients: str, **fields: Any) -> Envelope:
    """Return an envelope with a small message, to one recipient unless told."""
    values: dict[str, Any] = {
        "mail_from": "sender@x.test",
        "recipients": list(recipients) or ["user@x.test"],
        "message": MESSAGE,
    }
    values |= fields
    smtputf8 = values.pop("smtputf8", False)
    if isinstance(values["message"], bytes):
        values["message"] = Message(values["message"], smtputf8=smtputf8)
    return Envelope(**values)


@asynccontextmanager
async def a_session(port: int, timeouts: Timeouts = PATIENT, **fields: Any) -> AsyncIterator[Session]:
    """Open a session for the length of the block."""
    session = await Session.open(a_server(port, **fields), allowed=LOOPBACK, timeouts=timeouts)
    try:
        yield session
    finally:
        await session.close()


async def transact(
    port: int,
    envelope: Envelope | None = None,
    timeouts: Timeouts = PATIENT,
    before: Callable[[], bool] = lambda: True,
) -> Outcome:
    """Send one message in a session of its own."""
    async with a_session(port, timeouts) as session:
        return await session.transact(envelope or an_envelope(), before)


async def failing_to_open(port: int, timeouts: Timeouts = PATIENT, **fields: Any) -> SmtpError:
    """Return why no session could be opened."""
    with pytest.raises(SmtpError) as caught:
        await Session.open(a_server(port, **fields), allowed=LOOPBACK, timeouts=timeouts)
    return caught.value


def codes(outcome: Outcome) -> list[int]:
    """Return the reply code of each recipient."""
    return [reply.code for reply in outcome.replies]


def phases(outcome: Outcome) -> list[str]:
    """Return the phase each recipient was decided in."""
    return [reply.phase for reply in outcome.replies]
