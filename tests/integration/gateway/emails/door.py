"""A gateway on real servers and a client at its door, with the levers a test wants: projecting, trimming."""

import os
import sys
import urllib.request
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec

from deploy.local.ports import LOOPBACK, free_port
from services.bootstrap import broker, database
from services.bootstrap.settings import Settings
from services.projector import store
from shared.events.base import EmailId, EventId, WorkspaceId
from shared.events.record import Record, history_subject
from shared.runtime import configuration, keyring, log, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, ApiKey, Identity, Smtp, Workspace
from shared.runtime.content_files import Files
from shared.runtime.publisher import Publisher
from tests.controls import servers

_KEYRINGS: dict[str, bytes] = {}
GOOD: dict[str, Any] = {"to": "ann@world.test", "subject": "Welcome", "text": "Hello."}


class Answer(msgspec.Struct):
    """What came back."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error

    @property
    def paths(self) -> list[str]:
        return [detail["path"] for detail in self.error["details"]]


class Door:
    """One workspace's client, and what stands behind the gateway."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.token = token
        self.session = session

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        head = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, f"{self.url}/api/v1{path}", data=data, headers=head
        ) as answer:
            return Answer(answer.status, msgspec.json.decode(await answer.read()), dict(answer.headers))

    async def send(self, key: str | None = None, **fields: Any) -> Answer:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.ask("POST", "/emails/send", GOOD | fields, **headers)

    async def sent(self, key: str | None = None, **fields: Any) -> dict[str, Any]:
        answer = await self.send(key, **fields)
        assert answer.status == 202, answer.body
        data: dict[str, Any] = answer.data
        return data

    async def show(self, email_id: str, include: str = "") -> Answer:
        return await self.ask("GET", f"/emails/{email_id}" + (f"?include={include}" if include else ""))

    async def raw(self, email_id: str, method: str = "GET") -> tuple[int, bytes, Mapping[str, str]]:
        """Ask for the message itself."""
        head = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.url}/api/v1/emails/{email_id}/raw"
        async with self.session.request(method, url, headers=head) as answer:
            return answer.status, await answer.read(), answer.headers

    async def list_(self, query: str = "") -> Answer:
        return await self.ask("GET", f"/emails?{query}")


class Behind:
    """The log and the read model as the other services use them; `name` is the test's own workspace."""

    def __init__(self, name: str, emails: log.Log, publisher: Publisher, pool: asyncpg.Pool) -> None:
        self.name = name
        self.log = emails
        self.publisher = publisher
        self.pool = pool
        self.workspaces: Bucket[Workspace] = Bucket(emails.client, topology.WORKSPACES, Workspace)
        self.accounts: Bucket[Account] = Bucket(emails.client, topology.ACCOUNTS, Account)
        self.keys: Bucket[ApiKey] = Bucket(emails.client, topology.KEYS, ApiKey)

    async def workspace(self, name: str) -> tuple[str, Account]:
        """Make a workspace with one account; return a key with all permissions."""
        now, token = datetime.now(UTC), configuration.new_token()
        account = Account(
            id=str(uuid.uuid4()),
            workspace=name,
            name="relay",
            smtp=Smtp(host="127.0.0.1", port=25, tls="none"),
            identities=(Identity(address="hello@sendlog.test", name="Sendlog"),),
            created_at=now,
            updated_at=now,
        )
        key = ApiKey(
            id=str(uuid.uuid4()),
            workspace=name,
            name="test",
            permissions=configuration.PERMISSIONS,
            created_at=now,
            rate_limit=10_000_000,
        )
        await self.accounts.put(configuration.account_key(name, account.id), account)
        await self.workspaces.put(name, Workspace(name=name, created_at=now, default_account_id=account.id))
        await self.keys.put(configuration.hash_token(token), key)
        return token, account

    async def history(self, email_id: str) -> list[Any]:
        return await self.log.history(self.name, email_id)

    async def append(self, email_id: str, event: Any, guard: int | None = None) -> int:
        """Append an event as another service would."""
        item = Record(WorkspaceId(self.name), EmailId(email_id), EventId(str(uuid.uuid4())), event)
        return await self.publisher.append(item, guard=guard)

    async def emails_in_log(self) -> int:
        """Return how many emails of the workspace the log knows."""
        stream = self.log.client.jetstream()
        info = await stream.stream_info(topology.LOG, subjects_filter=f"emails.{self.name}.>")
        return len({subject.split(".")[2] for subject in info.state.subjects or {}})

    async def change_account(self, **changes: Any) -> None:
        """Change the workspace's default account."""
        workspace = await self.workspaces.get(self.name)
        assert workspace is not None
        key = configuration.account_key(self.name, workspace.default_account_id or "")
        account = await self.accounts.get(key)
        assert account is not None
        await self.accounts.put(key, msgspec.structs.replace(account, **changes))

    async def project(self, *email_ids: str) -> None:
        """Bring these emails' rows up to date, as the projector would."""
        records = [record for one in email_ids for record in await self.history(one)]
        await store.project(self.pool, records)

    async def trim(self, email_id: str) -> None:
        """Take the email's records out of the log, as trimming does once they are archived."""
        subject = history_subject(self.name, email_id)
        await self.log.client.jetstream().purge_stream(topology.LOG, subject=subject)


class Gateway(servers.Process):
    """A gateway as a process of its own."""

    def __init__(self, nats_url: str, database_url: str, home: Path) -> None:
        ring = home / "keyring"
        _lay_keyring(ring, nats_url)
        Files(home / "content").mark()
        port, health_port = free_port(), free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        settings = {
            "NATS_URL": nats_url,
            "DATABASE_URL": database_url,
            "CONTENT_URL": (home / "content").as_uri(),
            "KEYRING": str(ring),
            "GATEWAY_PORT": str(port),
            "HEALTH_PORT": str(health_port),
        }
        super().__init__(
            [sys.executable, "-m", "services.gateway"],
            lambda: _answers(f"{self.url}/livez"),
            log=home / "gateway.log",
            environment=os.environ | {f"SENDLOG_{name}": value for name, value in settings.items()},
        )


def _lay_keyring(ring: Path, nats_url: str) -> None:
    """Write the keyring of this broker: what the first gateway sealed there, the next one has to open."""
    if nats_url not in _KEYRINGS:
        keyring.create(ring)
        _KEYRINGS[nats_url] = ring.read_bytes()
    elif not ring.exists():
        ring.touch(mode=0o600)
        ring.write_bytes(_KEYRINGS[nats_url])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def prepare(nats_url: str, database_url: str, *, log_bytes: int = 1024**3) -> None:
    """Create everything the gateway expects to find."""
    await broker.ensure(Settings(nats_url=nats_url, database_url="", log_bytes=log_bytes))
    await database.migrate(database_url, None)


@asynccontextmanager
async def behind(nats_url: str, database_url: str) -> AsyncIterator[Behind]:
    """Open what stands behind the gateway, in a workspace of its own."""
    async with AsyncExitStack() as stack:
        client = await log.connect(nats_url, "test")
        stack.push_async_callback(client.close)
        emails = log.Log(client)
        await emails.open()
        publisher = Publisher(emails)
        publisher.start()
        stack.push_async_callback(publisher.stop)
        pool = await asyncpg.create_pool(database_url, min_size=1, max_size=4)
        stack.callback(pool.terminate)
        yield Behind(f"w-{uuid.uuid4().hex[:12]}", emails, publisher, pool)


@asynccontextmanager
async def open_door(opened: Behind, url: str) -> AsyncIterator[Door]:
    """Make the workspace and come to the gateway as its client."""
    token, _ = await opened.workspace(opened.name)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Door(url, token, session)
