"""Gateways in this process, on real servers, and clients at their doors: one workspace or several, one replica or two."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from multidict import CIMultiDict

from deploy.local.ports import LOOPBACK, free_port
from services.bootstrap import broker
from services.bootstrap.settings import Settings
from services.gateway import app, identifiers
from shared.runtime import configuration, keyring, log, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import PERMISSIONS, Account, ApiKey, Workspace

ACCOUNT: dict[str, Any] = {
    "name": "relay",
    "host": "smtp.example.com",
    "port": 587,
    "identities": [{"address": "hello@example.com", "name": "Hello"}],
}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: CIMultiDict[str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        """The decoded JSON."""
        decoded: dict[str, Any] = msgspec.json.decode(self.text)
        return decoded

    @property
    def data(self) -> Any:
        """What a success carries."""
        return self.body["data"]

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.body["error"]["code"])

    @property
    def problems(self) -> dict[str, str]:
        """The error's details by path."""
        return {problem["path"]: problem["message"] for problem in self.body["error"].get("details", [])}


class Client:
    """Asks one replica with one key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None) -> None:
        self._session = session
        self.url = url
        self.token = token

    def by(self, token: str | None) -> "Client":
        """Return the same door with another key."""
        return Client(self._session, self.url, token)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Ask below /api/v1; a body that is bytes is sent as it is."""
        return await self.plain(method, f"/api/v1{path}", body, **headers)

    async def plain(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Ask any path."""
        head = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            head["Authorization"] = f"Bearer {self.token}"
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        async with self._session.request(
            method, self.url + path, data=data, headers=head, allow_redirects=False
        ) as answer:
            return Answer(answer.status, CIMultiDict(answer.headers), await answer.text())


class Gateways:
    """Replicas on one broker, and the configuration behind them."""

    def __init__(
        self,
        nats_url: str,
        database_url: str,
        home: Path,
        client: Any,
        stack: AsyncExitStack,
        environment: pytest.MonkeyPatch,
    ) -> None:
        self.nats_url, self._database_url, self._home = nats_url, database_url, home
        self.client = client
        self._stack, self._environment = stack, environment
        self.keys: Bucket[ApiKey] = Bucket(client, topology.KEYS, ApiKey)
        self.accounts: Bucket[Account] = Bucket(client, topology.ACCOUNTS, Account)
        self.workspaces: Bucket[Workspace] = Bucket(client, topology.WORKSPACES, Workspace)

    def set_environment(self, **settings: object) -> None:
        """Set what the next gateway reads when it starts."""
        wanted = {
            "nats_url": self.nats_url,
            "database_url": self._database_url,
            "content_url": (self._home / "content").as_uri(),
            "keyring": str(self._home / "keyring"),
            **settings,
        }
        for name, value in wanted.items():
            self._environment.setenv(f"SENDLOG_{name.upper()}", str(value))

    async def replica(self, token: str | None = None, **settings: object) -> Client:
        """Start one more gateway and return a client at its door."""
        url = f"http://{LOOPBACK}:{(port := free_port())}"
        defaults = {
            "health_port": free_port(),
            "gateway_port": port,
            "public_url": url,
            "json_bytes": 1024**2,
        }
        self.set_environment(**defaults | settings)
        await self._stack.enter_async_context(app.build())
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        await self._stack.enter_async_context(session)
        return Client(session, url, token)

    async def key(self, workspace: str = "default", *permissions: str, **fields: Any) -> str:
        """Write a key to its bucket, as the bootstrap does, and return the token."""
        token = configuration.new_token()
        key = ApiKey(
            id=identifiers.fresh(),
            workspace=workspace,
            name=f"test {secrets.token_hex(2)}",
            permissions=permissions or PERMISSIONS,
            created_at=datetime.now(UTC),
            **fields,
        )
        await self.keys.put(configuration.hash_token(token), key)
        return token


@asynccontextmanager
async def gateways(
    nats_url: str, database_url: str, home: Path, environment: pytest.MonkeyPatch
) -> AsyncIterator[Gateways]:
    """Prepare the broker and stop every replica at the end."""
    await broker.ensure(Settings(nats_url=nats_url, database_url="", log_bytes=64 * 1024**2))
    keyring.create(home / "keyring")
    client = await log.connect(nats_url, "test")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        yield Gateways(nats_url, database_url, home, client, stack, environment)
