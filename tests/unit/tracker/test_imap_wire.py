"""A server that says what it should not ends the session, and neither fills our memory nor learns a secret."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from services.tracker import imap_login
from services.tracker.imap import Server
from services.tracker.imap_wire import Wire

Script = Callable[[socket.socket], object]
Connected = Callable[[Script], Wire]
CAPABLE = b"* CAPABILITY IMAP4rev1 IDLE STARTTLS AUTH=XOAUTH2\r\n"


@pytest.fixture
def connected() -> Iterator[Connected]:
    """Connect to a server that greets, tells its capabilities, and goes on by a script."""
    with ExitStack() as stack:

        def connect(script: Script) -> Wire:
            ours, theirs = socket.socketpair()
            stack.callback(ours.close)

            def serve() -> None:
                with theirs, suppress(OSError):
                    theirs.sendall(b"* OK ready\r\n")
                    said(theirs, CAPABLE)
                    script(theirs)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join, 5)
            wire = Wire(ours, "imap.example.com", None)
            stack.callback(wire.cut)
            return wire

        yield connect


def said(server: socket.socket, before: bytes = b"", answer: bytes = b"OK done") -> bytes:
    """Read a command, answer it, and return it."""
    line = server.recv(65_536)
    server.sendall(before + line.split(b" ")[0].strip() + b" " + answer + b"\r\n")
    return line


def server(secret: str = "token") -> Server:
    return Server(
        host="imap.example.com", port=143, tls="none", auth="xoauth2", username="u", secret=secret, mailbox="INBOX"
    )  # fmt: skip


def test_a_literal_larger_than_was_asked_for_is_not_read(connected: Connected) -> None:
    def announce(them: socket.socket) -> None:
        them.recv(100)
        them.sendall(b"* 1 FETCH (BODY[] {99999999999}\r\n")

    wire = connected(announce)
    wire.state = "SELECTED"
    with pytest.raises(Wire.abort, match="more than"):
        wire.uid("FETCH", "1", "(BODY.PEEK[])")


def test_a_flood_of_answers_is_not_read_to_its_end(connected: Connected) -> None:
    def flood(them: socket.socket) -> None:
        them.recv(100)
        while True:
            them.sendall(b"* 1 EXISTS\r\n" * 1000)

    wire = connected(flood)
    with pytest.raises(Wire.abort, match="more than"):
        wire.noop()


def test_a_silent_server_is_left_when_its_time_is_over(connected: Connected) -> None:
    wire = connected(lambda them: them.recv(100) and them.recv(100))
    wire.allow(0.2)
    with pytest.raises(TimeoutError):
        wire.noop()


def test_words_behind_the_consent_to_tls_are_an_attack(connected: Connected) -> None:
    wire = connected(lambda them: said(them, answer=b"OK begin\r\n* OK [CAPABILITY AUTH=PLAIN] injected"))
    with pytest.raises(Wire.error, match="before TLS"):
        wire.secure(ssl.create_default_context())


def test_an_access_token_is_sent_and_its_refusal_told_without_it(connected: Connected) -> None:
    heard: list[bytes] = []

    def refuse(them: socket.socket) -> None:
        with them.makefile("rb") as lines:
            tag = lines.readline().split(b" ")[0]
            them.sendall(b"+ \r\n")
            heard.append(lines.readline())
            them.sendall(b"+ eyJzdGF0dXMiOiI0MDEifQ==\r\n")
            heard.append(lines.readline())
            them.sendall(tag + b" NO refused for token\r\n")

    with pytest.raises(Wire.error) as caught:
        imap_login.login(connected(refuse), server())
    assert heard == [b"dXNlcj11AWF1dGg9QmVhcmVyIHRva2VuAQE=\r\n", b"\r\n"]
    assert "401" in str(caught.value)
    told = imap_login.without_secret(str(caught.value), server())
    assert told == 'refused for *** {"status":"401"}'


def test_idle_ends_when_a_message_arrives_and_when_the_time_is_over(connected: Connected) -> None:
    def idle(them: socket.socket) -> None:
        for news in (b"* 3 EXISTS\r\n", b"* OK still here\r\n"):
            tag = them.recv(100).split(b" ")[0]
            them.sendall(b"+ idling\r\n" + news)
            assert them.recv(100) == b"DONE\r\n"
            them.sendall(tag + b" OK done\r\n")

    wire = connected(idle)
    wire.idle_for(5)
    wire.idle_for(0.2)
