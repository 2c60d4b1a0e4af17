"""Forms as clients write them, byte for byte, and a wire to send them on that is as rude as a test wants."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.integration.gateway.emails.door import Answer, Door

PATH = "/emails/send/multipart"
MARK = "XmarkX"
KIND = f"multipart/form-data; boundary={MARK}"
GOOD = (("to", "ann@world.test"), ("subject", "Welcome"), ("text", "Hello."))
Part = tuple[str, bytes]


def text(name: str, value: str, *lines: str) -> Part:
    """Return a text part."""
    return "\r\n".join([f'Content-Disposition: form-data; name="{name}"', *lines]), value.encode()


def file(filename: str, data: bytes, *lines: str, name: str = "file") -> Part:
    """Return a file part."""
    return "\r\n".join(
        [f'Content-Disposition: form-data; name="{name}"; filename="{filename}"', *lines]
    ), data


def form(*parts: Part, good: bool = True, ending: bytes = b"--\r\n") -> bytes:
    """Return the body of a form with these parts; first the fields of a good email, if wished."""
    fields = [text(name, value) for name, value in GOOD] if good else []
    made = b"".join(
        f"--{MARK}\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in [*fields, *parts]
    )
    return made + f"--{MARK}".encode() + ending


async def post(door: Door, body: bytes | AsyncIterator[bytes], **headers: str) -> Answer:
    """Send a form."""
    head = {"Authorization": f"Bearer {door.token}", "Content-Type": KIND}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    whole = io.BytesIO(body) if isinstance(body, bytes) else body
    async with door.session.post(f"{door.url}/api/v1{PATH}", data=whole, headers=head) as answer:
        return Answer(answer.status, msgspec.json.decode(await answer.read()), dict(answer.headers))


def kept(content: Path) -> list[Path]:
    """Return every file of the content store, finished or not."""
    return [path for path in content.rglob("*") if path.is_file()]


def empty(content: Path) -> None:
    """Remove every file of the content store."""
    for path in kept(content):
        path.unlink()


class Wire:
    """One connection, spoken to in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer, self._token = reader, writer, token

    async def head(self, *lines: str, kind: str = KIND) -> None:
        start = [f"POST /api/v1{PATH} HTTP/1.1", "Host: x", f"Authorization: Bearer {self._token}",
                 f"Content-Type: {kind}"]  # fmt: skip
        await self.send("\r\n".join([*start, *lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_all(self, pieces: Iterable[bytes]) -> None:
        """Send until the other side has had enough."""
        try:
            for piece in pieces:
                await self.send(piece)
        except ConnectionError:
            return

    async def answer(self) -> tuple[int, dict[str, Any]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("Content-Length")
        )
        return int(head.split()[1]), json.loads(await self._reader.readexactly(length))

    def leave(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def connected(door: Door) -> AsyncIterator[Wire]:
    address = urlsplit(door.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Wire(reader, writer, door.token)
    finally:
        writer.close()
