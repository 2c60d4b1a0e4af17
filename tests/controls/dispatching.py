"""Dispatchers as processes against a real broker and the development mailbox, and what they wrote."""

import json
import os
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.ports import LOOPBACK, free_port
from shared.events import fold, record, status
from shared.runtime import configuration, keyring, log, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Identity, Limits, Smtp
from tests.controls.emails import ACCOUNT
from tests.controls.servers import Process, _answers


def an_account(port: int, **fields: Any) -> Account:
    """Return an account whose next hop listens on a loopback port."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": ACCOUNT,
        "workspace": "default",
        "name": "test",
        "smtp": Smtp(host=LOOPBACK, port=port, tls="none"),
        "identities": (Identity(address="hello@sendlog.test"),),
        "created_at": now,
        "updated_at": now,
    }
    return Account(**(values | fields))


async def store(emails: log.Log, account: Account) -> None:
    """Write an account into its bucket."""
    bucket = Bucket(emails.client, topology.ACCOUNTS, Account)
    await bucket.put(configuration.account_key(account.workspace, account.id), account)


def a_dispatcher(home: Path, nats_url: str, name: str = "dispatcher") -> Process:
    """Return a dispatcher process, not yet started; its log is in `home`."""
    ring = home / "keyring"
    keyring.create(ring)
    port = free_port()
    environment = {
        **os.environ,
        "SENDLOG_NATS_URL": nats_url,
        "SENDLOG_CONTENT_URL": f"file://{home}/content",
        "SENDLOG_KEYRING": str(ring),
        "SENDLOG_HEALTH_PORT": str(port),
        "SENDLOG_ALLOW_NETWORKS": "127.0.0.0/8",
        "SENDLOG_HELO": "dispatcher.test",
    }
    return Process(
        [sys.executable, "-m", "services.dispatcher"],
        lambda: _answers(f"http://{LOOPBACK}:{port}/readyz"),
        log=home / f"{name}.log",
        environment=environment,
    )


async def history(emails: log.Log, item: record.Record) -> list[record.Record]:
    """Return an email's records."""
    return await emails.history(item.workspace, item.email_id)


async def names(emails: log.Log, item: record.Record) -> list[str]:
    """Return the names of an email's events, in order."""
    return [found.event.name for found in await history(emails, item)]


async def raw_status(emails: log.Log, item: record.Record) -> str:
    """Return an email's raw status."""
    return status.raw(fold.fold(await history(emails, item)))


def messages(url: str, to: str | None = None) -> list[dict[str, Any]]:
    """Return what the mailbox has, newest first."""
    query = f"?to={to}" if to else ""
    with urllib.request.urlopen(f"{url}/messages{query}", timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def with_limits(account: Account, **limits: int) -> Account:
    """Return the account with other limits."""
    return msgspec.structs.replace(account, limits=Limits(**limits))
