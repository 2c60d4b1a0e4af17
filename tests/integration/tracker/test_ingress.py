"""Inbound mail at the door: what is taken, what is refused, and what the MTA has to keep."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import pytest

from deploy.local.ports import LOOPBACK
from services.tracker import ingress
from services.tracker.inbound import LOOP, Result
from shared.runtime.content import ContentUnavailable

OURS = "bounce+1@ours.test"


class Taker:
    """Stands for Inbound: remembers what it was given and answers as it is told."""

    def __init__(self) -> None:
        self.given: list[tuple[bytes, list[str]]] = []
        self.answer: Result | Exception = Result("dsn", None, (), "key")

    async def take(self, raw: bytes, envelope: Iterable[str]) -> Result:
        """Take a message."""
        self.given.append((raw, list(envelope)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Door(NamedTuple):
    """An open door and who stands behind it."""

    taker: Taker
    port: int
    protocol: str

    async def knock(self, letter: bytes, *to: str) -> Any:
        """Send a message; return the refused recipients, or the exception."""

        def send() -> Any:
            make = smtplib.LMTP if self.protocol == "lmtp" else smtplib.SMTP
            with make(LOOPBACK, self.port) as session:
                try:
                    return session.sendmail("", to, letter)
                except smtplib.SMTPException as error:
                    return error

        return await asyncio.to_thread(send)


@pytest.fixture(params=["smtp", "lmtp"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    taker: Any = Taker()
    handler = ingress.Handler(taker, lambda address: address.endswith("@ours.test"))
    server = await ingress.serve(handler, LOOPBACK, 0, request.param)
    yield Door(taker, server.sockets[0].getsockname()[1], request.param)
    server.close()
    await server.wait_closed()


async def test_what_is_ours_is_taken_byte_by_byte_however_long_its_lines(door: Door) -> None:
    letter = b"Subject: x\r\n\r\n" + b"a" * 100_000 + b"\r\n.\r\n..\r\n\xff\r\n"
    assert await door.knock(letter, OURS) == {}
    assert door.taker.given == [(letter, [OURS])]


async def test_nothing_is_relayed(door: Door) -> None:
    refused = await door.knock(b"Subject: x\r\n\r\n", "else@where.test")
    assert isinstance(refused, smtplib.SMTPRecipientsRefused)
    assert refused.recipients["else@where.test"][0] == 550
    assert door.taker.given == []


@pytest.mark.parametrize("trouble", [ContentUnavailable("full"), RuntimeError("a fault of ours")])
async def test_what_cannot_be_written_down_stays_with_the_mta(door: Door, trouble: Exception) -> None:
    door.taker.answer = trouble
    refused = await door.knock(b"Subject: x\r\n\r\n", OURS)
    assert isinstance(refused, smtplib.SMTPDataError)
    assert refused.smtp_code == 451


async def test_a_loop_is_refused_for_good(door: Door) -> None:
    door.taker.answer = Result(LOOP, None, (), "")
    refused = await door.knock(b"Subject: x\r\n\r\n", OURS)
    assert isinstance(refused, smtplib.SMTPDataError)
    assert refused.smtp_code == 554
