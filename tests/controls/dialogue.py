"""SMTP spoken word by word: what is sent and what comes back, without a client's opinions."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Dialogue:
    """One connection to an SMTP server on loopback; `async with` connects, hears the greeting, says EHLO."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        await self.hear()
        self.extensions = (await self.say("EHLO client.test"))[4:].splitlines()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def say(self, line: str) -> str:
        """Say one line and return the reply to it."""
        self.send(line.encode() + b"\r\n")
        return await self.hear()

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(raw)

    async def hear(self, *, within: float = 10.0) -> str:
        """Return the next reply, all its lines; empty when the connection is gone."""
        lines: list[str] = []
        async with asyncio.timeout(within):
            while True:
                try:
                    line = (await self._reader.readline()).decode().rstrip("\r\n")
                except ConnectionError:
                    return ""
                lines.append(line[4:] if lines else line)
                if line[3:4] != "-":
                    return "\n".join(lines)

    async def deliver(self, mail_from: str, rcpt_to: list[str], raw: bytes) -> list[str]:
        """Go through one transaction, DATA only if a recipient was accepted; return the reply to each step."""
        replies = [await self.say(f"MAIL FROM:<{mail_from}>")]
        replies += [await self.say(f"RCPT TO:<{address}>") for address in rcpt_to]
        if any(reply.startswith("250") for reply in replies[1:]):
            replies.append(await self.say("DATA"))
            self.send(raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
            replies.append(await self.hear())
        return replies
