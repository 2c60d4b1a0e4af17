"""Opens what the handlers work with, for app.build: the connections, the buckets, and what stands on them.

Whatever is opened here is closed by the stack, in the opposite order.
"""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import structlog

from services.gateway.accounts import dns_records
from services.gateway.emails import unsubscribing
from services.gateway.request import KeyUse, Services
from services.gateway.settings import Settings
from services.gateway.suppressions.imports import Imports
from services.gateway.templates.library import Library
from shared.runtime import handles, keyring, log, outgoing, postgres, settings, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, ApiKey, Workspace
from shared.runtime.content import ContentStore
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions
from shared.runtime.tokens import Tokens

logger = structlog.get_logger(__name__)
POOL: Final = 16
# A generic plan knows no values, and takes the order of time through a million rows to find a rare one.
PLANNER: Final = {"plan_cache_mode": "force_custom_plan", "jit": "off"}


async def opened(wanted: Settings, stack: AsyncExitStack) -> Services:
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
    pool = await postgres.connect(wanted.database_url, size=POOL, lazy=True, settings=PLANNER, stateless=True)
    stack.callback(pool.terminate)

    async def bucket(name: str, kind: type[Any]) -> Bucket[Any]:
        found = Bucket(client, name, kind)
        await found.open()
        stack.push_async_callback(found.close)
        return found

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
        tokens=_tokens(ring),
        allowed=_networks(wanted.allow_networks),
        nameservers=_nameservers(wanted.dns_servers),
    )


def _tokens(ring: keyring.Keyring) -> Tokens:
    tokens = Tokens(ring)
    if not handles.fit(tokens):
        logger.warning("key_id_too_long", key_id=tokens.current, cost=handles.COST)
    return tokens


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
