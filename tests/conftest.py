"""Fixtures every test may ask for: real servers, one set per test run, and a clean place on them per test."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import pytest

from deploy.local import ports
from deploy.local import servers as command_lines
from tests.controls import servers
from tests.controls.eventually import eventually

__all__ = ["eventually"]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def _server_directory() -> Iterator[Path]:
    directory = servers.own_directory()
    yield directory
    servers.remove(directory)


@pytest.fixture(scope="session")
def nats_server(_server_directory: Path) -> Iterator[str]:
    """URL of a real nats-server (JetStream, sync always), one for the whole run."""
    server = servers.NatsServer(_server_directory).start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def _postgres(_server_directory: Path) -> Iterator[servers.PostgresServer]:
    server = servers.PostgresServer(_server_directory).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(_postgres: servers.PostgresServer) -> str:
    """URL of a real Postgres as its superuser, database `postgres`, one for the whole run."""
    return _postgres.url


@pytest.fixture
async def clean_nats(nats_server: str) -> AsyncIterator[str]:
    """URL of the run's nats-server without any stream or bucket, before and after the test."""
    await _delete_streams(nats_server)
    yield nats_server
    await _delete_streams(nats_server)


@pytest.fixture
async def database(_postgres: servers.PostgresServer) -> AsyncIterator[str]:
    """URL of a fresh, empty database as the superuser; dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await asyncio.to_thread(command_lines.create_database, _postgres.postgres, name, template="template0")
    yield _postgres.postgres.url(database=name)
    await asyncio.to_thread(command_lines.drop_database, _postgres.postgres, name)


@pytest.fixture
def home() -> Iterator[Path]:
    """A SENDLOG_HOME of its own, which Postgres may enter also when the tests run as root."""
    directory = servers.own_directory()
    yield directory
    servers.remove(directory)


@pytest.fixture
def own_nats(home: Path) -> Iterator[servers.NatsServer]:
    """A started nats-server for one test, to be killed, paused and started again."""
    server = servers.NatsServer(home).start()
    yield server
    server.kill()


@pytest.fixture
def own_postgres(home: Path) -> Iterator[servers.PostgresServer]:
    """A started Postgres for one test, to be killed, paused and started again."""
    server = servers.PostgresServer(home).start()
    yield server
    server.kill()


@pytest.fixture
def mailbox_process(home: Path) -> Iterator[servers.Mailbox]:
    """The development mailbox as a process, to be killed and started again."""
    process = servers.Mailbox(home).start()
    yield process
    process.stop()


@pytest.fixture
def mailbox(mailbox_process: servers.Mailbox) -> servers.MailboxAddress:
    """The development mailbox: `.smtp_port`, and `.url` of its HTTP side."""
    return mailbox_process.address


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    return ports.free_port()


async def _delete_streams(url: str) -> None:
    connection = await nats.connect(url)
    try:
        jetstream = connection.jetstream()
        for stream in await jetstream.streams_info():
            if stream.config.name is not None:
                await jetstream.delete_stream(stream.config.name)
    finally:
        await connection.close()
