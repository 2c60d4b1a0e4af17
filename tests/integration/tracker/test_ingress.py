"""Inbound mail at the door: what is taken, what is refused, and what the MTA has to keep."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import pytest
from aiosmtpd.smtp import SMTP

from deploy.local.ports import LOOPBACK
from services.tracker import ingress, ingress_sessions, mime
from services.tracker.inbound import LOOP, Result
from services.tracker.ingress_sessions import Doorway
from shared.runtime.content import ContentUnavailable
from tests.controls.eventually import eventually

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
    doorway: Doorway

    async def lines(self, *said: bytes, until: int) -> list[bytes]:
        """Say these lines at once; return so many lines of what is answered, fewer where the server hangs up."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        try:
            writer.write(b"".join(line + b"\r\n" for line in said))
            async with asyncio.timeout(10):
                return [line for _ in range(until) if (line := await reader.readline())]
        finally:
            writer.close()

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
    doorway = Doorway(at_most=4, room=400_000)
    server = await ingress.serve(handler, LOOPBACK, 0, request.param, doorway)
    yield Door(taker, server.sockets[0].getsockname()[1], request.param, doorway)
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


OTHER = b"bounce+2@ours.test"
WITHOUT_LETTER = (b"MAIL FROM:<>", b"RCPT TO:<bounce+1@ours.test>", b"RCPT TO:<%s>" % OTHER)


@pytest.mark.parametrize(
    ("letter", "trouble", "code"),
    [
        (b"Subject: x", None, b"250"),
        (b"Subject: x", ContentUnavailable("full"), b"451"),
        (b"a" * 300_000, None, b"552"),
        (b"a.\r\n" * 70_000, None, b"552"),
        (b"\r\n..\r\n", None, b"250"),
        (b".." + b"a" * 199_996, None, b"250"),
    ],
)
async def test_lmtp_answers_once_for_each_recipient_and_smtp_once_for_all(
    door: Door, letter: bytes, trouble: Exception | None, code: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mime, "MAX_BYTES", 200_000)
    if trouble is not None:
        door.taker.answer = trouble
    hello = b"LHLO me" if door.protocol == "lmtp" else b"HELO me"
    said = (hello, *WITHOUT_LETTER, b"RCPT TO:<else@where.test>", b"DATA", letter, b".", b"NOOP", b"QUIT")
    answers = await door.lines(*said, until=99)
    data = next(place for place, line in enumerate(answers) if line.startswith(b"354"))
    after = [line[:3] for line in answers[data + 1 :]]
    assert after == [code] * (2 if door.protocol == "lmtp" else 1) + [b"250", b"221"]
    if code == b"250":
        as_it_was = (b"\r\n" + letter + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
        assert door.taker.given == [(as_it_was, [OURS, OTHER.decode()])]
    assert door.doorway.held == 0


async def test_one_connection_too_many_is_told_to_come_again_and_room_is_made(door: Door) -> None:
    held = [await asyncio.open_connection(LOOPBACK, door.port) for _ in range(4)]
    for reader, _ in held:
        assert (await reader.readline()).startswith(b"220")
    assert [line[:3] for line in await door.lines(until=2)] == [b"421"]
    for _, writer in held:
        writer.close()

    async def room() -> bool:
        return [line[:3] for line in await door.lines(until=1)] == [b"220"]

    await eventually(room)


async def test_messages_have_so_much_room_together_and_no_more(door: Door) -> None:
    hello = b"LHLO me" if door.protocol == "lmtp" else b"HELO me"
    begun = [await asyncio.open_connection(LOOPBACK, door.port) for _ in range(2)]
    for _, writer in begun:
        writer.write(b"\r\n".join((hello, *WITHOUT_LETTER, b"DATA", b"")))
    for reader, _ in begun:
        while not (await reader.readline()).startswith(b"354"):
            pass
    begun[0][1].write(b"x" * 999 + b"\r\n" + (b"y" * 998 + b"\r\n") * 250)
    await eventually(lambda: door.doorway.held > 200_000)
    answers = await door.lines(hello, *WITHOUT_LETTER, b"DATA", b"QUIT", until=99)
    assert [line[:3] for line in answers[-2:]] == [b"452", b"221"]
    begun[1][1].write((b"y" * 998 + b"\r\n") * 250)
    assert (await begun[1][0].readline()).startswith(b"421")
    begun[0][1].write(b".\r\n")
    assert (await begun[0][0].readline()).startswith(b"250")
    for _, writer in begun:
        writer.close()
    await eventually(lambda: door.doorway.held == 0)
    assert await door.knock(b"Subject: x\r\n\r\n", OURS) == {}


@pytest.mark.parametrize(
    ("sent", "taken"), [(b".\r\n", b""), (b"\r\n.\r\n", b"\r\n"), (b"x\r\n.\r\n", b"x\r\n")]
)
async def test_the_shortest_messages_end_with_their_dot(door: Door, sent: bytes, taken: bytes) -> None:
    hello = b"LHLO me" if door.protocol == "lmtp" else b"HELO me"
    await door.lines(hello, *WITHOUT_LETTER, b"DATA", sent + b"QUIT", until=99)
    assert door.taker.given == [(taken, [OURS, OTHER.decode()])]


async def test_a_dot_that_no_line_ends_before_ends_no_message(door: Door) -> None:
    hello = b"LHLO me" if door.protocol == "lmtp" else b"HELO me"
    smuggled = b"x\n.\r\nMAIL FROM:<>\r\n\r.\r\n"
    await door.lines(hello, *WITHOUT_LETTER, b"DATA", smuggled + b"\r\n.\r\nQUIT", until=99)
    assert [raw for raw, _ in door.taker.given] == [smuggled + b"\r\n"]


@pytest.mark.parametrize(
    "path",
    [
        "<>", "<a@b.test>", "<a+b=c@b-c.test> SIZE=10 BODY=8BITMIME", "<a..b@c.test>", "<@r.test:a@b.test>", "a@b.test",
        '<"a b"@c.test>', "<a@[192.0.2.1]>", "<ü@b.test> SMTPUTF8", "<a@b.test", "<a b@c.test>", "", "<a@>", "<a@b.test>x",
    ],
)  # fmt: skip
async def test_a_path_is_read_as_the_library_reads_it(path: str) -> None:
    session = ingress_sessions.Session(Doorway(), object(), loop=asyncio.get_running_loop())
    assert session._getaddr(path) == SMTP._getaddr(session, path)


class Deaf(asyncio.Transport):
    """The way to somebody who reads nothing: what is written stays, and to close it takes for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""

    def is_closing(self) -> bool:
        """Only when it has ended."""
        return self.ended.is_set()

    def close(self) -> None:
        """Wait until all is read."""

    def abort(self) -> None:
        """End it."""
        self.ended.set()


async def test_a_session_whose_client_reads_no_answers_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_sessions, "WITHIN", 0.05)
    loop, doorway, way = asyncio.get_running_loop(), Doorway(), Deaf()
    session = ingress_sessions.Session(doorway, object(), loop=loop)
    session.connection_made(way)
    async with asyncio.timeout(10):
        await way.ended.wait()
    session.connection_lost(None)
    assert not doorway.inside


async def test_a_session_that_says_nothing_ends(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ingress_sessions.WITHIN <= 60
    monkeypatch.setattr(ingress_sessions, "WITHIN", 0.2)
    answers = await door.lines(until=9)
    assert [line[:3] for line in answers] == [b"220"]
