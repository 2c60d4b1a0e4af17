"""Schedulers on real servers: in this process with a clock of the test's own, or as a process to be killed."""

import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from services.scheduler import app
from services.scheduler.settings import Settings
from shared.events import delivery, record, schedule, submission
from shared.events.base import AccountId
from shared.runtime import configuration, log, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Limits, Smtp
from shared.runtime.publisher import Publisher
from tests.controls import emails
from tests.controls.servers import LOOPBACK, Process, _answers, free_port

DURABLE = topology.SCHEDULER


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Clock:
    """A clock that can be moved; it goes on as the real one does."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        """Return what it shows."""
        return now() + self.ahead


@asynccontextmanager
async def scheduling(
    nats_url: str, database_url: str, clock: Callable[[], datetime] = now
) -> AsyncIterator[None]:
    """Run a scheduler in this process for the length of the block."""
    wanted = Settings(nats_url=nats_url, database_url=database_url, health_port=free_port())
    async with app.assemble(wanted, clock):
        yield


def a_scheduler(home: Path, nats_url: str, database_url: str, name: str = "scheduler") -> Process:
    """Return a scheduler process, not yet started; its log is in `home`."""
    port = free_port()
    environment = {
        **os.environ,
        "SENDLOG_NATS_URL": nats_url,
        "SENDLOG_DATABASE_URL": database_url,
        "SENDLOG_HEALTH_PORT": str(port),
    }
    return Process(
        [sys.executable, "-m", "services.scheduler"],
        lambda: _answers(f"http://{LOOPBACK}:{port}/livez"),
        log=home / f"{name}.log",
        environment=environment,
    )


async def store_account(client: Any, changed_at: datetime | None = None, **limits: int) -> Account:
    """Write the sample account with these limits."""
    at = changed_at or now() - timedelta(days=1)
    account = Account(
        id=emails.ACCOUNT,
        workspace=emails.WORKSPACE,
        name="test",
        smtp=Smtp(host=LOOPBACK, port=25),
        identities=(),
        limits=Limits(**limits),
        created_at=at,
        updated_at=at,
    )
    bucket = Bucket(client, topology.ACCOUNTS, Account)
    await bucket.put(configuration.account_key(account.workspace, account.id), account)
    return account


def a_deferral(item: record.Record, round_: int = 1, **fields: Any) -> record.Record:
    """Return a deferral of an email: by default for want of a slot, due at once."""
    assert isinstance(item.event, submission.Requested)
    code = fields.pop("code", "no_slot")
    reason = delivery.Reason(
        code=code, message=f"because of {code}", category="test", retryable=True, suggested_action="none"
    )
    at = now()
    values: dict[str, Any] = {
        "occurred_at": at,
        "round": round_,
        "reason": reason,
        "next_attempt_at": at,
        "expires_at": at + timedelta(hours=72),
        "email": item.event.email,
    }
    return follow(item, delivery.Deferred(**(values | fields)))


def a_claim(item: record.Record, round_: int = 1, claim_id: str = "c") -> record.Record:
    """Return a dispatcher's claim."""
    event = delivery.Sending(
        occurred_at=now(), round=round_, attempt=round_, claim_id=claim_id, account_id=AccountId(emails.ACCOUNT)
    )
    return follow(item, event)


def a_sent(item: record.Record, round_: int = 1) -> record.Record:
    """Return the outcome of a claim that went well."""
    return follow(item, delivery.Sent(occurred_at=now(), round=round_, attempt=1, claim_id="c"))


def follow(item: record.Record, event: object) -> record.Record:
    """Return another record of the same email."""
    return emails.a_record(event, email_id=item.email_id)


async def names(story: log.Log, item: record.Record) -> list[str]:
    """Return the names of an email's events, in order."""
    return [found.event.name for found in await story.history(item.workspace, item.email_id)]


async def releases(story: log.Log, item: record.Record) -> list[schedule.Released]:
    """Return an email's releases, in order."""
    history = await story.history(item.workspace, item.email_id)
    return [found.event for found in history if isinstance(found.event, schedule.Released)]


async def tell(publisher: Publisher, *items: record.Record) -> list[record.Record]:
    """Append records, unguarded, one after another; return them with their sequences."""
    return [item._replace(sequence=await publisher.append(item)) for item in items]


async def rows(database_url: str, query: str = "SELECT * FROM scheduler.waiting") -> list[dict[str, Any]]:
    """Return what the table holds."""
    connection = await asyncpg.connect(database_url)
    try:
        return [dict(found) for found in await connection.fetch(query)]
    finally:
        await connection.close()


def some_id() -> str:
    """Return a fresh id of an email."""
    return str(uuid.uuid4())
