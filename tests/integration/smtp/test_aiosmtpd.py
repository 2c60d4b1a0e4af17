"""Against a server written by others: what it stores is what was given, byte by byte."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.smtp.asking import LARGE, MESSAGE, a_session, an_envelope, codes

PIECES = st.sampled_from(
    [
        b"text",
        b"\r\n",
        b"\r\n",
        b".",
        b"..",
        b"\n",
        b"\r",
        b"\r\n.\r\n",
        b"\n.\n",
        "zażółć".encode(),
        b" ",
        b"\x00",
    ]
)


class Keeper:
    """Keeps every envelope; refuses recipients whose name begins with `no`."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("no"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.kept.append(envelope)
        return "250 2.0.0 kept"


@asynccontextmanager
async def an_aiosmtpd() -> AsyncIterator[tuple[int, Keeper]]:
    keeper, loop = Keeper(), asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: SMTP(keeper, enable_SMTPUTF8=True, loop=loop, data_size_limit=None), "127.0.0.1", 0
    )
    try:
        yield listener.sockets[0].getsockname()[1], keeper
    finally:
        listener.close()


def as_sent(message: bytes) -> bytes:
    """Return what a server may store of these bytes: only line ends change."""
    message = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    return message if message.endswith(b"\r\n") else message + b"\r\n"


@pytest.mark.parametrize("message", [MESSAGE, LARGE, b"", b".", b".\r\n", b"\r\n.\r\n", b"no end"], ids=len)
async def test_aiosmtpd_stores_the_message_as_it_was(message: bytes) -> None:
    async with an_aiosmtpd() as (port, keeper), a_session(port) as session:
        for _ in range(2):
            outcome = await session.transact(
                an_envelope("a@x.test", "no@x.test", "zażółć@x.test", message=message), lambda: True
            )
            assert codes(outcome) == [250, 550, 250]
    assert [envelope.content for envelope in keeper.kept] == [as_sent(message)] * 2
    assert keeper.kept[0].mail_from == "sender@x.test"
    assert keeper.kept[0].rcpt_tos == ["a@x.test", "zażółć@x.test"]


async def test_aiosmtpd_stores_whatever_bytes_there_are_as_one_message() -> None:
    async with an_aiosmtpd() as (port, keeper), a_session(port) as session:
        for message in _samples():
            keeper.kept.clear()
            outcome = await session.transact(an_envelope(message=message), lambda: True)
            assert outcome.phase == "done"
            assert [envelope.content for envelope in keeper.kept] == [as_sent(message)]


def _samples() -> list[bytes]:
    found: list[bytes] = []

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(PIECES, max_size=12).map(b"".join))
    def collect(message: bytes) -> None:
        found.append(message)

    collect()
    return found
