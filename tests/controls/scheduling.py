"""Schedulers on real servers: in this process with a clock of the test's own, or as a process to be killed."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from nats.aio.msg import Msg

from deploy.local.ports import LOOPBACK, free_port
from services.bootstrap.broker import consumer
from services.scheduler import absorbing, app, book, store
from services.scheduler.agenda import Agenda
from services.scheduler.flow import Flow
from services.scheduler.handlers import Handlers
from services.scheduler.row import Key, Lane, Row
from services.scheduler.settings import Settings
from services.scheduler.speaking import Voice
from services.scheduler.store import PLANNER, Store, as_row
from shared.events import delivery, record, schedule, submission
from shared.events.base import AccountId, Event
from shared.runtime import configuration, log, postgres, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Limits, Smtp
from shared.runtime.consumer import Consumer, make_broker
from shared.runtime.delivery import Delivery
from shared.runtime.publisher import Publisher
from tests.controls import emails, runtime
from tests.controls.servers import Process, _answers

DURABLE = topology.SCHEDULER
STATEMENTS = Path(store.__file__).with_name("store.sql")


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


class SchedulerProcess(Process):
    """A scheduler as a process; `url` is its health address."""

    def __init__(self, home: Path, nats_url: str, database_url: str) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        environment = {
            **os.environ,
            "SENDLOG_NATS_URL": nats_url,
            "SENDLOG_DATABASE_URL": database_url,
            "SENDLOG_HEALTH_PORT": str(port),
        }
        super().__init__(
            [sys.executable, "-m", "services.scheduler"],
            lambda: _answers(f"{self.url}/livez"),
            log=home / "scheduler.log",
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
        occurred_at=now(),
        round=round_,
        attempt=round_,
        claim_id=claim_id,
        account_id=AccountId(emails.ACCOUNT),
    )
    return follow(item, event)


def a_sent(item: record.Record, round_: int = 1) -> record.Record:
    """Return the outcome of a claim that went well."""
    return follow(item, delivery.Sent(occurred_at=now(), round=round_, attempt=1, claim_id="c"))


def a_release(item: record.Record, round_: int = 1) -> record.Record:
    """Return a release."""
    return follow(
        item, schedule.Released(occurred_at=now(), round=round_, expires_at=now() + timedelta(hours=72))
    )


def row_of(item: record.Record) -> Row:
    """Return the row a record makes."""
    row = absorbing.absorb(None, item)
    assert row is not None
    return row


def later(seconds: float) -> datetime:
    """Return the time in so many seconds."""
    return now() + timedelta(seconds=seconds)


def follow(item: record.Record, event: Event) -> record.Record:
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


@asynccontextmanager
async def table(database_url: str) -> AsyncIterator[Store]:
    """Open the scheduler's table for the length of the block."""
    pool = await postgres.connect(database_url, size=2, lazy=True, settings=PLANNER)
    try:
        yield Store(pool)
    finally:
        await pool.close()


async def put(opened: Store, *items: record.Record) -> None:
    """Make the table know these records, as if a scheduler had consumed them."""
    async with opened.transaction() as tx:
        for item in items:
            await book.absorb(tx, {Key(item.workspace, item.email_id): [item]})


async def due(opened: Store, *, bulk: bool = False) -> list[Row]:
    """Return the sample account's due rows."""
    lane = Lane(emails.WORKSPACE, emails.ACCOUNT)
    async with opened.transaction() as tx:
        return [as_row(found) for found in await tx.due({lane: 1000}, now(), bulk=bulk)]


@asynccontextmanager
async def handling(
    nats_url: str, database_url: str
) -> AsyncIterator[Callable[[list[record.Record]], Awaitable[None]]]:
    """Handle records as a scheduler's consumer does, in the order the test chooses."""
    async with runtime.open_log(nats_url) as (story, _), table(database_url) as opened:
        accounts = Bucket(story.client, topology.ACCOUNTS, Account)
        handlers = Handlers(opened, story, Agenda(now), Flow(accounts))
        idle = Consumer(story, make_broker(nats_url, "idle"), DURABLE, handlers.take)

        async def handle(items: list[record.Record]) -> None:
            await handlers.take([Delivery(idle, item, "nobody", 1, 0.0) for item in items])

        yield handle


@asynccontextmanager
async def voice(nats_url: str) -> AsyncIterator[Voice]:
    """Open a scheduler's voice for the length of the block."""
    async with runtime.open_log(nats_url) as (story, publisher):
        yield Voice(story, publisher)


@asynccontextmanager
async def released(nats_url: str) -> AsyncIterator[list[record.Record]]:
    """Collect the releases as they are appended, for the length of the block."""
    found: list[record.Record] = []
    async with _listening(nats_url, found.append):
        yield found


@asynccontextmanager
async def dispatching(nats_url: str) -> AsyncIterator[list[record.Record]]:
    """Answer every release with `sent`, as a fast dispatcher would; collect the releases."""
    found: list[record.Record] = []
    async with runtime.open_log(nats_url) as (_, publisher), asyncio.TaskGroup() as group:

        def answer(item: record.Record) -> None:
            found.append(item)
            assert isinstance(item.event, schedule.Released)
            group.create_task(publisher.append(a_sent(item, item.event.round)))

        async with _listening(nats_url, answer):
            yield found


@asynccontextmanager
async def _listening(nats_url: str, take: Callable[[record.Record], None]) -> AsyncIterator[None]:
    """Follow the log: a plain subscription would also see what the log refuses."""
    client = await log.connect(nats_url, "listening")

    async def on_message(message: Msg) -> None:
        take(record.decode(message.subject, message.headers, message.data, message.metadata.sequence.stream))

    stream = client.jetstream()
    await stream.subscribe("emails.*.*.released", cb=on_message, ordered_consumer=True)
    try:
        yield
    finally:
        await client.close()


@asynccontextmanager
async def deaf(story: log.Log) -> AsyncIterator[None]:
    """Keep what is appended within the block from ever reaching the scheduler's consumer."""
    wanted = consumer(DURABLE)
    await _configure(story, wanted | {"config": wanted["config"] | {"filter_subjects": ["emails.none.>"]}})
    yield
    await _configure(story, wanted)


async def _configure(story: log.Log, wanted: dict[str, Any]) -> None:
    subject = f"$JS.API.CONSUMER.DURABLE.CREATE.{topology.LOG}.{DURABLE.name}"
    answer = await story.client.request(subject, json.dumps(wanted).encode(), timeout=5)
    assert "error" not in json.loads(answer.data), answer.data


async def states(database_url: str, *expected: str) -> bool:
    """Say whether the table's rows are in these states, in any order."""
    found = sorted(row["state"] for row in await rows(database_url))
    assert found == sorted(expected), f"{found}"
    return True
