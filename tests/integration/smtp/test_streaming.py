"""A message that comes in pieces: written as the server takes it, and taken back when it turns out to be incomplete."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

import pytest

from services.dispatcher.timeouts import Timeouts
from shared.runtime.content import ContentUnavailable
from shared.runtime.message import ContentLost, Message
from tests.controls.eventually import eventually
from tests.integration.smtp.asking import MESSAGE, SHORT, a_session, an_envelope, codes, phases, transact
from tests.integration.smtp.scripted import Client, mta, serving, unstuffed

UNLIMITED = ["PIPELINING"]
STEP = b"seventy-six characters, as an attachment has them, over and over again.....\r\n" * 1000


class Pieces(Message):
    """A message in these pieces, with an error in place of the rest if there is one."""

    def __init__(self, pieces: Sequence[bytes], error: Exception | None = None) -> None:
        super().__init__(b"")
        self.whole = None
        self.size = sum(map(len, pieces))
        self.taken = 0
        self.closed = False
        self._pieces, self._error = pieces, error

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                self.taken += 1
                yield piece
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


@pytest.mark.parametrize(
    "pieces",
    [
        [MESSAGE, b".\r\n", b"..\r\n.", b"\r\n", b"end\r", b"\n.", b"\r", b"\n"],
        [MESSAGE, b"\r", b"\n", b".", b"\r", b"\n", b"x\r\n"],
        [MESSAGE, b"", STEP, b".\r\n", STEP, b""],
        [byte.to_bytes(1, "big") for byte in MESSAGE + b".\r\n.\r\n..\r\n"],
        [MESSAGE, *[STEP] * 100],
    ],
    ids=["dots", "line ends", "empty", "bytes", "large"],
)
async def test_what_comes_in_pieces_arrives_as_one(pieces: list[bytes]) -> None:
    async with serving(mta()) as server, a_session(server.port) as session:
        message = Pieces(pieces)
        outcome = await session.transact(an_envelope(message=message), lambda: True)
        assert outcome.phase == "done"
        assert (await session.transact(an_envelope(), lambda: True)).phase == "done"
    assert unstuffed(server.messages[0]) == b"".join(pieces)
    assert server.messages[1] == MESSAGE
    assert f"SIZE={message.size}" in server.lines[1]
    assert "BODY" not in server.lines[1]
    assert server.connections == 1


@pytest.mark.parametrize("count", [0, 1, 40], ids=["at once", "small", "large"])
async def test_what_turns_out_to_be_lost_never_ends_and_nobody_has_it(count: int) -> None:
    message = Pieces([MESSAGE, *[STEP] * count], ContentLost("a/b is damaged"))
    async with serving(mta()) as server, a_session(server.port) as session:
        outcome = await session.transact(an_envelope(message=message), _must_not_be_asked)
        assert not session.usable
    assert (outcome.phase, outcome.error_kind, outcome.error) == ("body", "content_lost", "a/b is damaged")
    assert not outcome.ambiguous
    assert codes(outcome) == [0]
    assert server.messages == []
    assert b"\r\n.\r\n" not in server.heard
    assert message.closed


async def test_a_recipient_who_could_have_been_tried_later_is_lost_with_it_and_a_refused_one_stays_so() -> (
    None
):
    script = mta(rcpt=["250 ok", "450 4.2.0 greylisted", "550 5.1.1 no such user"])
    message = Pieces([MESSAGE, STEP], ContentLost("gone"))
    async with serving(script) as server:
        outcome = await transact(
            server.port, an_envelope("a@x.test", "b@x.test", "c@x.test", message=message)
        )
    assert codes(outcome) == [0, 0, 550]
    assert phases(outcome) == ["body", "body", "rcpt"]


async def test_a_store_that_fails_midway_is_raised_and_the_connection_closed() -> None:
    message = Pieces([MESSAGE, STEP], ContentUnavailable("no answer"))
    async with serving(mta()) as server, a_session(server.port) as session:
        with pytest.raises(ContentUnavailable):
            await session.transact(an_envelope(message=message), _must_not_be_asked)
        assert not session.usable
    assert server.messages == []
    assert b"\r\n.\r\n" not in server.heard


async def test_no_more_is_read_than_the_server_takes() -> None:
    go = asyncio.Event()
    message = Pieces([MESSAGE, *[STEP] * 2000])

    async def patient(client: Client) -> None:
        await client.say("354 go")
        await go.wait()
        client.close()

    async with (
        serving(mta(offers=UNLIMITED, data=patient), receive=64 * 1024) as server,
        a_session(server.port) as session,
    ):
        task = asyncio.create_task(session.transact(an_envelope(message=message), lambda: True))
        await eventually(lambda: message.taken)
        before = 0
        while message.taken != before:  # until it stands still
            before = message.taken
            await asyncio.sleep(0.3)
        assert message.taken < 200
        go.set()
        assert (await task).error_kind == "network"
    assert message.closed


async def test_a_slow_server_is_waited_for_as_long_as_it_takes_some() -> None:
    async def slow(client: Client) -> None:
        await client.say("354 go")
        for _ in range(150):  # longer together than one piece is waited for
            await client.hear_some()
            await asyncio.sleep(0.015)
        await client.hear_message()
        await client.say("250 ok")

    message = Pieces([MESSAGE, *[STEP] * 200])
    async with serving(mta(offers=UNLIMITED, data=slow), receive=64 * 1024) as server:
        started = time.monotonic()
        outcome = await transact(server.port, an_envelope(message=message), timeouts=Timeouts(body=1))
        assert time.monotonic() - started > 1
    assert outcome.phase == "done", outcome.error


async def test_a_server_that_takes_nothing_more_is_left() -> None:
    async def deaf(client: Client) -> None:
        await client.say("354 go")
        await asyncio.Event().wait()

    message = Pieces([MESSAGE, *[STEP] * 2000])
    async with serving(mta(offers=UNLIMITED, data=deaf), receive=64 * 1024) as server:
        outcome = await transact(server.port, an_envelope(message=message), timeouts=SHORT)
    assert (outcome.phase, outcome.error_kind, outcome.ambiguous) == ("body", "timeout", False)
    assert message.closed


async def test_a_refusal_in_the_middle_is_heard_and_no_more_is_read() -> None:
    async def enough(client: Client) -> None:
        await client.say("354 go")
        await client.hear_some()
        await client.say("552 5.3.4 too much")
        await asyncio.sleep(0.5)
        client.close()

    message = Pieces([MESSAGE, *[STEP] * 2000])
    async with (
        serving(mta(offers=UNLIMITED, data=enough), receive=64 * 1024) as server,
        a_session(server.port) as session,
    ):
        outcome = await session.transact(an_envelope(message=message), _must_not_be_asked)
        assert not session.usable
    assert (outcome.phase, codes(outcome)) == ("body", [552])
    assert message.taken < 200
    assert message.closed


async def test_a_message_larger_than_the_server_takes_is_not_begun() -> None:
    message = Pieces([MESSAGE, *[STEP] * 10])
    async with serving(mta(offers=["PIPELINING", "SIZE 700000"])) as server:
        outcome = await transact(server.port, an_envelope(message=message))
    assert outcome.error_kind == "message_too_large"
    assert outcome.error is not None
    assert "700000" in outcome.error
    assert server.verbs() == ["EHLO", "QUIT"]
    assert message.taken == 0


async def test_cancelling_closes_the_connection_and_the_source() -> None:
    async def deaf(client: Client) -> None:
        await client.say("354 go")
        await asyncio.Event().wait()

    message = Pieces([MESSAGE, *[STEP] * 2000])
    async with (
        serving(mta(offers=UNLIMITED, data=deaf), receive=64 * 1024) as server,
        a_session(server.port) as session,
    ):
        task = asyncio.create_task(session.transact(an_envelope(message=message), lambda: True))
        await eventually(lambda: message.taken)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.usable
    assert message.closed


def _must_not_be_asked() -> bool:
    raise AssertionError("the message never came to its end")
