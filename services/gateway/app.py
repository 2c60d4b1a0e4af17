"""Builds the gateway: the only place that constructs its parts."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from services.gateway import docs, log_room, openapi, routes
from services.gateway.accounts import dns_records
from services.gateway.authentication import Uses
from services.gateway.emails import unsubscribing
from services.gateway.http_server import HttpServer
from services.gateway.request import KeyUse, Services
from services.gateway.serving import Front
from services.gateway.settings import Settings
from services.gateway.suppressions.imports import Imports
from services.gateway.templates.library import Library
from shared.runtime import health, keyring, log, outgoing, postgres, process, settings, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, ApiKey, Workspace
from shared.runtime.content import ContentStore
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions
from shared.runtime.tokens import Tokens

logger = structlog.get_logger(__name__)
GRACE = 10.0
POOL = 16
_SQL = postgres.statements(Path(__file__).with_name("database.sql"))


@asynccontextmanager
async def build() -> AsyncIterator[None]:
    """Run the gateway for the length of the block."""
    wanted = settings.read(Settings, os.environ)
    async with AsyncExitStack() as stack:
        services = await _open(wanted, stack)
        uses = Uses(services.key_uses)
        stack.push_async_callback(uses.write)
        told = _health(services)
        await told.serve(wanted.health_host, wanted.health_port)
        stack.push_async_callback(told.stop)
        for work in (uses.write_for_ever(), log_room.watch(services)):
            await stack.enter_async_context(process.background(asyncio.create_task(work)))
        document = openapi.document(routes.TABLE, wanted.public_url)
        pages = docs.pages(document)
        pages |= {path: told.page(path) for path in ("/livez", "/readyz")}
        front = Front(routes.TABLE, services, uses, pages)
        runner = web.ServerRunner(HttpServer(front.answer), shutdown_timeout=GRACE)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)  # no new connections; requests in hand are finished
        await web.TCPSite(runner, wanted.gateway_host, wanted.gateway_port, backlog=1024).start()
        yield
        told.stopping = True


async def _open(wanted: Settings, stack: AsyncExitStack) -> Services:
    """Connect to everything; Postgres may be down, the broker may not."""
    if problem := unsubscribing.base_problem(wanted.tracker_url):
        raise settings.SettingsError(f"SENDLOG_TRACKER_URL: {problem}")
    ring = keyring.load(Path(wanted.keyring))
    client = await log.connect(wanted.nats_url, "gateway")
    stack.push_async_callback(client.close)
    emails = log.Log(client)
    await emails.open()
    publisher = Publisher(emails, linger=0.003)
    publisher.start()
    stack.push_async_callback(publisher.stop)
    pool = await postgres.connect(wanted.database_url, size=POOL, lazy=True)
    stack.callback(pool.terminate)

    async def bucket(name: str, kind: type[Any]) -> Bucket[Any]:
        opened = Bucket(client, name, kind)
        await opened.open()
        stack.push_async_callback(opened.close)
        return opened

    templates = Library(client)
    await templates.open()
    stack.push_async_callback(templates.close)
    suppressions = Suppressions(client, ring)
    await suppressions.open()
    content = ContentStore(wanted.content_url)
    imports = Imports(client, content, suppressions)
    stack.push_async_callback(imports.stop)
    return Services(
        settings=wanted,
        client=client,
        log=emails,
        publisher=publisher,
        pool=pool,
        keys=await bucket(topology.KEYS, ApiKey),
        key_uses=await bucket(topology.KEY_USES, KeyUse),
        accounts=await bucket(topology.ACCOUNTS, Account),
        workspaces=await bucket(topology.WORKSPACES, Workspace),
        templates=templates,
        suppressions=suppressions,
        imports=imports,
        content=content,
        keyring=ring,
        tokens=Tokens(ring),
        allowed=_networks(wanted.allow_networks),
        nameservers=_nameservers(wanted.dns_servers),
    )


def _networks(text: str) -> outgoing.Networks:
    try:
        return outgoing.parse_networks(text)
    except ValueError as error:
        raise settings.SettingsError(f"{outgoing.SETTING}: {error}") from error


def _nameservers(text: str) -> list[tuple[str, int]]:
    try:
        return dns_records.parse_servers(text)
    except ValueError as error:
        raise settings.SettingsError(f"SENDLOG_DNS_SERVERS: {error}") from error


def _health(services: Services) -> health.Health:
    async def database() -> str | None:
        try:
            await services.pool.fetchval(_SQL["answers"], timeout=2)
        except postgres.UNAVAILABLE as error:
            # The page is public: where the database is and as whom we come are for the log alone.
            logger.warning("database_unavailable", error=repr(error))
            return "the database does not answer"
        return None

    told = health.Health()
    told.add("broker", health.broker_check(services.log, services.publisher))
    # Mail is accepted and sent without Postgres: taking the gateway out for it would make an outage of one.
    told.add("database", database, vital=False)
    return told
