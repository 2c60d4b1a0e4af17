"""Inbound mail by SMTP or LMTP, from a real MTA in front of us: accepted once what it tells is in the log.

We take any address of an account's identities and return-path domains and relay nothing. An answer of 250 is a
promise, so our own troubles are 451 and the MTA keeps the message.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiosmtpd import smtp
from aiosmtpd.smtp import SMTP, Envelope

from services.tracker import mime
from services.tracker.inbound import LOOP, Inbound, Result
from services.tracker.ingress_sessions import Doorway, LmtpSession, Session
from shared.runtime import postgres
from shared.runtime.content import ContentUnavailable
from shared.runtime.log import BrokerUnavailable
from shared.runtime.publisher import Unconfirmed

logger = structlog.get_logger(__name__)
MAX_RECIPIENTS: Final = 100
AT_ONCE: Final = 32
OUR_TROUBLES: Final = (ContentUnavailable, BrokerUnavailable, Unconfirmed, *postgres.UNAVAILABLE)


class Handler:
    """What aiosmtpd asks: whether a recipient is ours, and to take a message."""

    def __init__(self, inbound: Inbound, is_ours: Callable[[str], bool]) -> None:
        self._inbound, self._is_ours = inbound, is_ours
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: smtp.Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take what is for us, and nothing else: we are no relay."""
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        if not self._is_ours(address):
            return "550 5.7.1 relaying denied: this address belongs to no account here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: smtp.Session, envelope: Envelope) -> str:  # noqa: N802
        """Answer 250 when everything the message tells is in the log."""
        raw = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        try:
            async with self._slots:
                result = await self._inbound.take(raw, envelope.rcpt_tos)
        except OUR_TROUBLES as error:
            logger.warning("inbound_waits", error=str(error))
            return "451 4.3.0 cannot be written down right now; try again"
        except Exception as error:
            logger.exception("inbound_failed", error=str(error))
            return "451 4.3.0 something went wrong on our side; try again"
        return told(result)


def told(result: Result) -> str:
    """Return the answer to a message: what it was taken as, and what of it is in the log now."""
    if result.kind == LOOP:
        return "554 5.4.6 too many hops: this message goes round in a loop"
    names = " ".join(one.event.name for one in result.said) or "nothing"
    about = f"; email {result.found.email_id}" if result.found and result.said else ""
    return f"250 2.0.0 taken as {result.kind}; said {names}{about}"


async def serve(
    handler: Handler, host: str, port: int, protocol: str, doorway: Doorway | None = None
) -> asyncio.Server:
    """Listen; the server's `close` ends it."""
    doorway = doorway or Doorway()
    options: dict[str, Any] = {
        "data_size_limit": mime.MAX_BYTES,
        "enable_SMTPUTF8": True,
        "hostname": "sendlog",
        "ident": "Sendlog",
        "decode_data": False,
    }
    loop = asyncio.get_running_loop()
    make = LmtpSession if protocol == "lmtp" else Session
    return await loop.create_server(lambda: make(doorway, handler, loop=loop, **options), host, port)
