"""Connections that end, stall or talk nonsense: each told apart by the phase it happened in."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from tests.controls.eventually import eventually
from tests.integration.smtp.asking import (
    LARGE,
    PATIENT,
    SHORT,
    a_session,
    an_envelope,
    codes,
    transact,
)
from tests.integration.smtp.scripted import ALL, Client, at, drop, mta, noise, reset, serving, stall

Doing = Callable[[Client], Awaitable[None]]
WITHOUT_PIPELINING = [offer for offer in ALL if offer != "PIPELINING"]
MODES = pytest.mark.parametrize("offers", [ALL, WITHOUT_PIPELINING], ids=["pipelined", "one by one"])
PLACES = pytest.mark.parametrize(
    ("where", "phase", "ambiguous"),
    [("mail", "mail", False), ("rcpt", "rcpt", False), ("data", "data", False), ("dot", "final", True)],
)


@MODES
@PLACES
@pytest.mark.parametrize("end", [drop, reset])
async def test_a_drop_before_354_and_one_after_the_dot_are_told_apart(
    offers: list[str], where: str, phase: str, ambiguous: bool, end: Doing
) -> None:
    async with serving(mta(offers=offers, **at(where, end))) as server:
        outcome = await transact(server.port)
    if end is reset and where in ("rcpt", "data"):  # a RST may overtake the replies before it
        assert outcome.phase in ("mail", "rcpt", phase)
    else:
        assert outcome.phase == phase
    assert (outcome.ambiguous, outcome.error_kind) == (ambiguous, "network")
    assert codes(outcome) == [0]
    assert outcome.final is None


@MODES
@PLACES
async def test_silence_ends_in_a_timeout_of_its_phase(
    offers: list[str], where: str, phase: str, ambiguous: bool
) -> None:
    async with (
        serving(mta(offers=offers, **at(where, stall))) as server,
        a_session(server.port, SHORT) as session,
    ):
        outcome = await session.transact(an_envelope(), lambda: True)
        assert not session.usable
    assert (outcome.phase, outcome.ambiguous, outcome.error_kind) == (phase, ambiguous, "timeout")


@MODES
@PLACES
@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff\x8e\x01garbage without an end",
        b"\x16\x03\x01\x02\x00\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"25\r\n",
        b"250ok\r\n",
        b"999 no such class\r\n",
        b"-50 negative\r\n",
        b"\r\n",
        b"250-one\r\n354 two\r\n",
        b"250-line\r\n" * 101,
        b"250 " + b"x" * 5000 + b"\r\n",
        b"250 " + b"x" * 5000,
    ],
    ids=lambda raw: repr(raw[:12]),
)
async def test_nonsense_is_a_protocol_error_in_its_phase(
    offers: list[str], where: str, phase: str, ambiguous: bool, raw: bytes
) -> None:
    async with (
        serving(mta(offers=offers, **at(where, noise(raw)))) as server,
        a_session(server.port) as session,
    ):
        outcome = await session.transact(an_envelope(), lambda: True)
        assert not session.usable
    assert (outcome.phase, outcome.ambiguous, outcome.error_kind) == (phase, ambiguous, "protocol")
    assert codes(outcome) == [0]


@pytest.mark.parametrize(
    ("where", "reply"),
    [("mail", "354 what"), ("rcpt", "334 what"), ("data", "250 what"), ("dot", "354 again")],
)
async def test_a_reply_of_the_wrong_class_is_a_protocol_error(where: str, reply: str) -> None:
    async with serving(mta(**at(where, reply))) as server:
        outcome = await transact(server.port)
    assert outcome.phase == ("final" if where == "dot" else where)
    assert outcome.error_kind == "protocol"
    assert outcome.ambiguous == (where == "dot")


async def test_what_a_recipient_was_told_before_the_connection_ended_still_holds() -> None:
    async with serving(mta(rcpt=["550 5.1.1 no such user", "250 ok"], data=drop)) as server:
        outcome = await transact(server.port, an_envelope("a@x.test", "b@x.test"))
    assert outcome.phase == "data"
    assert codes(outcome) == [550, 0]


async def test_a_refusal_stands_though_the_server_then_hangs_up() -> None:
    async def refuse_and_close(client: Client) -> None:
        await client.say("554 5.7.1 go away")
        client.close()

    async with serving(mta(mail=refuse_and_close)) as server:
        outcome = await transact(server.port)
    assert (outcome.phase, outcome.error_kind) == ("mail", "refused")
    assert codes(outcome) == [554]


async def test_a_reply_and_a_hangup_in_one_packet_is_the_reply() -> None:
    async def accept_and_close(client: Client) -> None:
        await client.say("250 2.0.0 queued", "421 4.4.2 bye")
        client.close()

    async with serving(mta(dot=accept_and_close)) as server, a_session(server.port) as session:
        outcome = await session.transact(an_envelope(), lambda: True)
        assert not session.usable
    assert outcome.phase == "done"


@pytest.mark.parametrize("end", [drop, reset])
async def test_a_drop_in_the_middle_of_a_large_message_is_not_ambiguous(end: Doing) -> None:
    async def take_some(client: Client) -> None:
        await client.say("354 go")
        await client.hear_some()
        await end(client)

    async with serving(mta(offers=["PIPELINING"], data=take_some)) as server:
        outcome = await transact(server.port, an_envelope(message=LARGE), before=_must_not_be_asked)
    assert (outcome.phase, outcome.ambiguous, outcome.error_kind) == ("body", False, "network")


@pytest.mark.parametrize("end", [reset, stall])
async def test_a_dot_that_never_left_our_buffers_is_not_ambiguous(end: Doing) -> None:
    async def take_some(client: Client) -> None:
        await client.say("354 go")
        await client.hear_some()
        await end(client)

    message = LARGE[:60_000]  # one write, with the dot, of which the kernel takes the beginning only
    async with (
        serving(mta(offers=["PIPELINING"], data=take_some), receive=4096) as server,
        a_session(server.port, SHORT) as session,
    ):
        session._wire._sink.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # type: ignore[union-attr]
        outcome = await session.transact(an_envelope(message=message), lambda: True)
    assert (outcome.phase, outcome.ambiguous) == ("body", False)
    assert outcome.error_kind == ("timeout" if end is stall else "network")


async def test_a_server_that_stops_reading_is_given_up_in_the_body() -> None:
    async def read_no_more(client: Client) -> None:
        await client.say("354 go")
        await asyncio.Event().wait()

    async with serving(mta(offers=["PIPELINING"], data=read_no_more)) as server:
        outcome = await transact(server.port, an_envelope(message=LARGE), SHORT, before=_must_not_be_asked)
    assert (outcome.phase, outcome.ambiguous, outcome.error_kind) == ("body", False, "timeout")


async def test_a_refusal_in_the_middle_of_the_message_is_their_word() -> None:
    async def refuse_early(client: Client) -> None:
        await client.say("354 go")
        await client.hear_some()
        await client.say("552 5.3.4 too big for me")
        while True:
            await client.hear_some()

    async with serving(mta(offers=["PIPELINING"], data=refuse_early)) as server:
        outcome = await transact(server.port, an_envelope(message=LARGE))
    assert (outcome.phase, outcome.error_kind, outcome.ambiguous) == ("body", "refused", False)
    assert codes(outcome) == [552]
    assert not server.heard.endswith(b"\r\n.\r\n")


async def test_a_drip_of_bytes_does_not_hold_a_session_for_ever() -> None:
    async def drip(client: Client) -> None:
        while True:
            client.send(b"2" if client.server.heard else b"")
            await asyncio.sleep(0.05)

    async with serving(mta(mail=noise_then(b"250-", drip))) as server:
        async with asyncio.timeout(3):
            outcome = await transact(server.port, timeouts=SHORT)
    assert outcome.error_kind in ("timeout", "protocol")
    assert outcome.phase == "mail"


async def test_an_unsolicited_goodbye_ends_an_idle_session() -> None:
    async def goodbye(client: Client) -> None:
        await client.say("250 queued")
        await asyncio.sleep(0.05)
        await client.say("421 4.4.2 idle timeout")
        await client.hear()

    async with serving(mta(dot=goodbye)) as server, a_session(server.port) as session:
        await session.transact(an_envelope(), lambda: True)
        await eventually(lambda: not session.usable)
        outcome = await session.transact(an_envelope(), lambda: True)
    assert outcome.phase == "mail"
    assert "unsolicited" in (outcome.error or "")


async def test_replies_that_come_byte_by_byte_are_still_replies() -> None:
    async def slowly(client: Client) -> None:
        for byte in b"250-2.0.0 one\r\n250 2.0.0 two\r\n":
            client.send(bytes([byte]))
            await asyncio.sleep(0)

    async with serving(mta(dot=slowly)) as server:
        outcome = await transact(server.port, timeouts=PATIENT)
    assert outcome.phase == "done"


def noise_then(raw: bytes, step: Doing) -> Doing:
    async def both(client: Client) -> None:
        client.send(raw)
        await step(client)

    return both


def _must_not_be_asked() -> bool:
    raise AssertionError("the dot is not to leave")
