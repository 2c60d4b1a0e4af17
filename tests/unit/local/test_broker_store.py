"""When a broker that lives is started again: its store is stuck, and may be used again."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local import broker_store

STUCK = b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"status":"unavailable","error":"stream EMAILS write error: no space"}'
WELL = b'HTTP/1.1 200 OK\r\n\r\n{"status":"ok"}'


@asynccontextmanager
async def a_broker_saying(words: bytes) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(words)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_stuck_store_with_room_is_a_reason(tmp_path: Path) -> None:
    async with a_broker_saying(STUCK) as port:
        assert await broker_store.watcher(tmp_path, port)() is not None


async def test_a_store_that_works_is_none(tmp_path: Path) -> None:
    async with a_broker_saying(WELL) as port:
        assert await broker_store.watcher(tmp_path, port)() is None


async def test_while_the_disk_is_full_a_fresh_start_would_only_fail_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000, total=64_000_000))
    async with a_broker_saying(STUCK) as port:
        assert await broker_store.watcher(tmp_path, port)() is None


async def test_a_broker_that_does_not_answer_is_somebody_elses_to_judge(
    tmp_path: Path, free_port: int
) -> None:
    assert await broker_store.watcher(tmp_path, free_port)() is None
