"""SMTP servers that say exactly what a test wants: a script in place of a server's manners."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn

ALL = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "SIZE 10000000")


class Hangup(Exception):
    """The script has closed the connection."""


class Client:
    """The client as the script sees it. `lines` are all commands heard, `packets` what came at once."""

    def __init__(self, server: "Server", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.writer = server, writer
        self._reader, self._buffer = reader, b""

    async def say(self, *lines: str) -> None:
        self.send("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def hear(self) -> str:
        """Return the next line; Hangup when there is none."""
        while b"\r\n" not in self._buffer:
            await self._read()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        self.server.lines.append(line.decode("utf-8"))
        return line.decode("utf-8")

    async def hear_message(self) -> bytes:
        """Return what comes up to the final dot, as it came."""
        data = b"\r\n"
        while b"\r\n.\r\n" not in data + self._buffer:
            data, self._buffer = data + self._buffer, b""
            await self._read()
        message, _, self._buffer = (data + self._buffer).partition(b"\r\n.\r\n")
        self.server.messages.append(message[2:] + b"\r\n")
        return message[2:] + b"\r\n"

    async def hear_nothing(self, seconds: float = 0.05) -> None:
        """Assert that the client waits for its turn."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._read()
        if self._buffer:
            self.server.complaints.append(f"spoke out of turn: {self._buffer!r}")

    async def hear_some(self) -> None:
        """Take whatever comes next, unread."""
        await self._read()
        self._buffer = b""

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.writer.start_tls(context)

    def reset(self) -> NoReturn:
        """End the connection with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise Hangup

    def close(self) -> NoReturn:
        """End the connection politely, as an exiting process does."""
        self.writer.close()
        raise Hangup

    async def _read(self) -> None:
        data = await self._reader.read(1 << 16)
        if not data:
            raise Hangup
        self.server.packets.append(data)
        self._buffer += data


Step = str | Callable[[Client], Awaitable[None]]
Steps = Step | list[Step]


class Server:
    """A running script and what it has heard, over all connections."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.closed = 0
        self.lines: list[str] = []
        self.packets: list[bytes] = []
        self.messages: list[bytes] = []
        self.complaints: list[str] = []

    @property
    def heard(self) -> bytes:
        return b"".join(self.packets)

    def verbs(self) -> list[str]:
        return [line.split(" ")[0].split(":")[0].upper() for line in self.lines]


Script = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, receive: int = 0
) -> AsyncIterator[Server]:
    """Run the script for every connection on a free loopback port.

    `receive` is how many bytes the kernel takes in for it before it reads.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        try:
            await script(Client(server, reader, writer))
        except (Hangup, ConnectionError, ssl.SSLError, TimeoutError, asyncio.CancelledError):
            pass
        except Exception as error:
            server.complaints.append(repr(error))
        finally:
            server.closed += 1
            writer.close()

    sock = socket.create_server(("127.0.0.1", 0))
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    listener = await asyncio.start_server(serve, sock=sock, ssl=tls, limit=receive or 1 << 16)
    server = Server(listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert server.complaints == []


def mta(
    *,
    offers: Sequence[str] = ALL,
    banner: str = "220 mta.test ESMTP",
    mail: Steps = "250 2.1.0 ok",
    rcpt: Steps = "250 2.1.5 ok",
    data: Steps = "354 go ahead",
    dot: Steps = "250 2.0.0 queued as 42",
) -> Script:
    """A server with manners. Each answer is a reply, a coroutine function, or a list taken in turns."""
    spoken = {"MAIL": mail, "RCPT": rcpt, "DATA": data, ".": dot}
    answers = {verb: list(steps) if isinstance(steps, list) else [steps] for verb, steps in spoken.items()}

    async def answer(client: Client, verb: str) -> str:
        steps = answers[verb]
        return await _act(client, steps.pop(0) if len(steps) > 1 else steps[0])

    async def script(client: Client) -> None:
        begun = False
        await client.say(banner)
        while True:
            verb = (await client.hear()).split(" ")[0].split(":")[0].upper()
            if verb in ("EHLO", "HELO"):
                await client.say(*ehlo(offers))
            elif verb == "MAIL" and begun:
                await client.say("503 5.5.1 nested MAIL command")
            elif verb in ("MAIL", "RCPT", "DATA"):
                said = await answer(client, verb)
                begun = begun or said.startswith("250")
                if verb == "DATA" and said.startswith("354"):
                    await client.hear_message()
                    begun = False
                    await answer(client, ".")
            elif verb == "QUIT":
                await client.say("221 2.0.0 bye")
                client.close()
            else:
                begun = begun and verb != "RSET"
                await client.say("250 2.0.0 ok")

    return script


async def _act(client: Client, step: Step) -> str:
    if not isinstance(step, str):
        await step(client)
        return ""
    await client.say(*step.split("\n"))
    return step


def at(where: str, step: Steps) -> dict[str, Any]:
    """Return the argument of `mta` that puts this answer there."""
    return {where: step}


def ehlo(offers: Sequence[str]) -> list[str]:
    """Return the lines of an EHLO reply."""
    lines = ["mta.test", *offers]
    return [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]


def unstuffed(message: bytes) -> bytes:
    """Return the message as the server stores it."""
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in message.split(b"\r\n"))


async def drop(client: Client) -> None:
    """Close the connection in place of an answer."""
    client.close()


async def reset(client: Client) -> None:
    """Cut the connection in place of an answer."""
    client.reset()


async def stall(client: Client) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def noise(raw: bytes) -> Callable[[Client], Awaitable[None]]:
    """Answer with these bytes."""

    async def step(client: Client) -> None:
        client.send(raw)

    return step
