"""What the first start leaves behind: a keyring, the workspace `default`, its key, and where its mail goes.

Run at every start and cut short at any point, it ends with the same things: one workspace, one account at
the development mailbox, and one key, whose token stands in SENDLOG_HOME/api_key and nowhere else.
"""

import asyncio
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from nats.aio.client import Client

from deploy.local import home
from deploy.local import settings as environment
from shared.runtime import configuration, keyring, log, settings, topology
from shared.runtime.buckets import Bucket, Changed
from shared.runtime.configuration import Account, ApiKey, Identity, Smtp, Workspace

WORKSPACE: Final = "default"
HOST: Final = "127.0.0.1"
_OURS: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "first-start.sendlog")
# Derived, so that a start that was cut short is continued and not begun again beside what it left.
ACCOUNT_ID: Final = str(uuid.uuid5(_OURS, "development mailbox"))
KEY_ID: Final = str(uuid.uuid5(_OURS, "development key"))


class Settings(msgspec.Struct, kw_only=True):
    """`home` holds the token; `mailbox_smtp_port` is where the development mailbox takes mail."""

    home: str
    nats_url: str
    keyring: str
    mailbox_smtp_port: int = 1025


async def main(wanted: Settings) -> None:
    """Make what is missing. Raises: BrokerUnavailable, OSError."""
    keyring.create(Path(wanted.keyring))
    client = await log.connect(wanted.nats_url, "first-start")
    try:
        accounts = Bucket(client, topology.ACCOUNTS, Account)
        if not await _workspace_exists(client):
            await accounts.put(_account_key(), _account(wanted.mailbox_smtp_port))
            await _make_workspace(client)
        await _follow_the_port(accounts, wanted.mailbox_smtp_port)
        await _ensure_key(client, Path(wanted.home) / "api_key")
    finally:
        await client.close()


async def _workspace_exists(client: Client) -> bool:
    return await Bucket(client, topology.WORKSPACES, Workspace).read(WORKSPACE) is not None


async def _make_workspace(client: Client) -> None:
    """Write the workspace after its account: from here on the account is the user's to change or remove."""
    workspace = Workspace(name=WORKSPACE, created_at=datetime.now(UTC), default_account_id=ACCOUNT_ID)
    try:
        await Bucket(client, topology.WORKSPACES, Workspace).put(WORKSPACE, workspace, revision=0)
    except Changed:  # it was there once and removed; the marker of that removal has a revision of its own
        await Bucket(client, topology.WORKSPACES, Workspace).put(WORKSPACE, workspace)


async def _follow_the_port(accounts: Bucket[Account], port: int) -> None:
    found = await accounts.read(_account_key())
    if found is None or found[1].smtp.host != HOST or found[1].smtp.port == port:
        return
    smtp = msgspec.structs.replace(found[1].smtp, port=port)
    moved = msgspec.structs.replace(found[1], smtp=smtp, updated_at=datetime.now(UTC))
    await accounts.put(_account_key(), moved, revision=found[0])


async def _ensure_key(client: Client, place: Path) -> None:
    """Leave a token whose entry exists; the file is written first, so an entry without a token never stays.

    A token without an entry was cut short or revoked. It is replaced, never revived: a revoked key stays so.
    """
    keys = Bucket(client, topology.KEYS, ApiKey)
    known = _token(place)
    if known and await keys.read(configuration.hash_token(known)) is not None:
        return
    token = configuration.new_token()
    home.write_private(place, token + "\n")
    await keys.put(configuration.hash_token(token), _key())
    await _remove_orphans(keys, configuration.hash_token(token))


def _token(place: Path) -> str:
    return place.read_text(encoding="utf-8", errors="replace").strip() if place.exists() else ""


async def _remove_orphans(keys: Bucket[ApiKey], current: str) -> None:
    """Remove earlier keys of a first start: their tokens are lost."""
    await keys.open()
    try:
        for entry, key in keys.items().items():
            if key.id == KEY_ID and entry != current:
                await keys.delete(entry)
    finally:
        await keys.close()


def _key() -> ApiKey:
    return ApiKey(
        id=KEY_ID,
        workspace=WORKSPACE,
        name="development key",
        permissions=configuration.PERMISSIONS,
        created_at=datetime.now(UTC),
        environment="development",
        rate_limit=10 * configuration.RATE_PER_MINUTE,
    )


def _account(port: int) -> Account:
    now = datetime.now(UTC)
    return Account(
        id=ACCOUNT_ID,
        workspace=WORKSPACE,
        name="development mailbox",
        smtp=Smtp(host=HOST, port=port, tls="none", auth="none"),
        identities=(Identity(address="hello@sendlog.test", name="Sendlog"),),
        return_path_domain="bounces.sendlog.test",
        created_at=now,
        updated_at=now,
    )


def _account_key() -> str:
    return configuration.account_key(WORKSPACE, ACCOUNT_ID)


if __name__ == "__main__":
    try:
        asyncio.run(main(settings.read(Settings, environment.read().inherited)))
    except (environment.Misused, settings.SettingsError, log.BrokerUnavailable, OSError) as error:
        sys.exit(f"first start: {error}")
