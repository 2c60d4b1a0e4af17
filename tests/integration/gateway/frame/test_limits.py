"""What is refused before it is read, over a raw socket: a client library would be too polite to send it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from services.gateway import reading
from tests.controls.gateways import Client, Gateways

BODY = json.dumps({"name": "k", "permissions": ["email.send"]}).encode()


class Wire:
    """One connection, spoken to in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str | None) -> None:
        self._reader, self._writer = reader, writer
        self._token = token

    async def head(self, *lines: str, method: str = "POST", path: str = "/api/v1/keys") -> None:
        """Send the head of a request."""
        start = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self._token}"]
        await self.send("\r\n".join([*start, *lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[int, str]:
        """Return (status, code) of the next answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        assert status == 100 or "\r\nX-Request-Id: " in head
        length = next(
            (
                int(line.split(":")[1])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length")
            ),
            0,
        )
        body = json.loads(await self._reader.readexactly(length)) if length else {}
        return status, body["error"]["code"] if "error" in body else ""

    async def closed(self) -> bool:
        """Wait until the server has closed the connection."""
        return await self._reader.read() == b""


@asynccontextmanager
async def connected(client: Client) -> AsyncIterator[Wire]:
    address = urlsplit(client.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield Wire(reader, writer, client.token)
    finally:
        writer.close()


JSON = "Content-Type: application/json"


async def test_a_good_request_passes_this_way(client: Client) -> None:
    async with connected(client) as wire:
        for _ in range(2):
            await wire.head(JSON, f"Content-Length: {len(BODY)}")
            await wire.send(BODY)
            assert await wire.answer() == (201, "")


async def test_a_body_announced_too_large_is_refused_unread(client: Client) -> None:
    async with connected(client) as wire:
        await wire.head(JSON, "Content-Length: 1048577")
        assert await wire.answer() == (413, "PAYLOAD_TOO_LARGE")
        assert await wire.closed()


async def test_a_body_that_turns_out_too_large_is_refused_while_it_comes(replicas: Gateways) -> None:
    client = await replicas.replica(await replicas.key(), json_bytes=100_000)
    async with connected(client) as wire:
        await wire.head(JSON, "Transfer-Encoding: chunked")
        for _ in range(20):
            await wire.send(b"2710\r\n" + b" " * 10_000 + b"\r\n")
        assert await wire.answer() == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(("extra", "outcome"), [(0, (201, "")), (1, (413, "PAYLOAD_TOO_LARGE"))])
async def test_a_body_of_just_the_limit_is_read(client: Client, extra: int, outcome: tuple[int, str]) -> None:
    padded = BODY + b" " * (1024 * 1024 - len(BODY) + extra)
    async with connected(client) as wire:
        await wire.head(JSON, f"Content-Length: {len(padded)}")
        await wire.send(padded)
        assert await wire.answer() == outcome


@pytest.mark.parametrize(
    "lines",
    [
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: -1"],
        ["Content-Length: +5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 0x5"],
        ["Transfer-Encoding: gzip, identity"],
        ["Transfer-Encoding : chunked"],
        ["X-Bad\x00: a"],
        ["X: a\rb"],
        [" folded"],
    ],
)
async def test_a_head_that_two_servers_could_read_differently_is_refused(
    client: Client, lines: list[str]
) -> None:
    async with connected(client) as wire:
        await wire.head(JSON, *lines)
        await wire.send(b"0\r\n\r\nGET /api/v1/keys HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await wire.answer() == (400, "VALIDATION_ERROR")
        assert await wire.closed()


async def test_what_is_not_http_gets_an_envelope_and_no_second_chance(client: Client) -> None:
    async with connected(client) as wire:
        await wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")
        assert await wire.answer() == (400, "VALIDATION_ERROR")
        assert await wire.closed()


async def test_a_head_that_never_ends_is_cut_off(client: Client) -> None:
    async with connected(client) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000)
        assert await wire.answer() == (400, "VALIDATION_ERROR")


async def test_a_chunk_that_is_none_is_refused(client: Client) -> None:
    async with connected(client) as wire:
        await wire.head(JSON, "Transfer-Encoding: chunked")
        await wire.send(b"zz\r\n")
        assert await wire.answer() == (400, "VALIDATION_ERROR")


async def test_a_client_that_dribbles_is_cut_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PROGRESS_WITHIN", 0.2)
    async with connected(client) as wire:
        await wire.head(JSON, "Content-Length: 100")
        await wire.send(b"{")
        assert await wire.answer() == (408, "REQUEST_TIMEOUT")
        assert await wire.closed()


async def test_a_client_that_makes_steady_small_progress_is_cut_off_in_the_end(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WHOLE_WITHIN", 0.5)

    async def dribble(wire: Wire) -> None:
        for _ in range(1000):
            await wire.send(b" ")
            await asyncio.sleep(0.02)

    async with connected(client) as wire:
        await wire.head(JSON, "Content-Length: 1000")
        task = asyncio.create_task(dribble(wire))
        assert await wire.answer() == (408, "REQUEST_TIMEOUT")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_body_that_ends_early_makes_nothing(client: Client) -> None:
    async with connected(client) as wire:
        await wire.head(JSON, "Content-Length: 1000")
        await wire.send(BODY)
    assert len((await client.ask("GET", "/keys")).data) == 1


async def test_a_client_that_waits_to_be_asked_is_asked_only_if_it_may_send(client: Client) -> None:
    async with connected(client) as wire:
        await wire.head(JSON, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
        assert await wire.answer() == (100, "")
        await wire.send(BODY)
        assert await wire.answer() == (201, "")
    async with connected(client.by("sk_unknown")) as wire:
        await wire.head(JSON, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
        assert await wire.answer() == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data",
                                  "application/json; charset=latin-1", "application/json; charset=utf-16", ""])  # fmt: skip
async def test_only_json_in_utf_8_is_read(client: Client, kind: str) -> None:
    answer = await client.ask("POST", "/keys", BODY, Content_Type=kind)
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"']
)
async def test_json_may_be_spelled_as_the_rfc_allows(client: Client, kind: str) -> None:
    assert (await client.ask("POST", "/keys", BODY, Content_Type=kind)).status == 201


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_nothing_compressed_is_expanded(client: Client, encoding: str) -> None:
    answer = await client.ask("POST", "/keys", b"\x1f\x8b" + b"\0" * 100, Content_Encoding=encoding)
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "body", [b'{"name":"a","name":"b"}', b'{"name":NaN}', b"[" * 2000 + b"]" * 2000, b'"\xff"']
)
async def test_what_json_readers_disagree_about_is_refused(client: Client, body: bytes) -> None:
    answer = await client.ask("POST", "/keys", body)
    assert (answer.status, list(answer.problems)) == (400, ["$"])


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    async with connected(client) as wire:
        for path in ("/api/v1/keys", "/nowhere", "/api/v1/accounts"):
            await wire.head(method="GET", path=path)
        assert [await wire.answer() for _ in range(3)] == [(200, ""), (404, "NOT_FOUND"), (200, "")]


async def test_http_1_0_is_answered_and_its_connection_closed(client: Client) -> None:
    async with connected(client) as wire:
        await wire.send(f"GET /api/v1/keys HTTP/1.0\r\nAuthorization: Bearer {client.token}\r\n\r\n".encode())
        assert await wire.answer() == (200, "")
        assert await wire.closed()
