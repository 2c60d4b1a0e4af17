"""Scheduled release: with many waiting, how fast a burst leaves, how punctual the rest is, and the memory.

The table is filled by COPY. A burst that is due at one moment shows the rate; mail that is due at
2,000/s shows the lateness, from its time to the broker's confirmation on disk; the rest waits for
tomorrow. A second process answers each release with `sent`, as dispatchers would: no more is released than they
have in hand.
"""

import argparse
import asyncio
import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import uvloop
from nats.aio.msg import Msg

from bench.figures import quantile
from services.bootstrap import database
from services.scheduler.row import WAITING, Payload, Row
from shared.events import email
from shared.events.base import AccountId
from shared.mail.address import Mailbox
from shared.runtime import configuration, log, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Limits, Smtp
from tests.controls import runtime, scheduling, servers
from tests.controls.eventually import eventually

PUNCTUAL_RATE, PUNCTUAL_SECONDS = 2000, 15
CHUNK = 10_000
BODY = "A line of a receipt, as they are.\n" * 30


def rows(count: int, first: datetime, per_second: float, accounts: int) -> Iterator[Row]:
    """Return waiting rows, one after another due from `first` on (0: all at once)."""
    for number in range(count):
        account = AccountId(f"account-{number % accounts}")
        email_id = str(uuid.uuid4())
        due = first + timedelta(seconds=number / per_second if per_second else 0)
        mail = email.Email(
            message_id=f"<{email_id}@sendlog.test>",
            date=due,
            boundary="b" * 24,
            from_=Mailbox("hello@sendlog.test", "Sendlog"),
            to=(Mailbox(f"user{number}@example.com"),),
            subject=f"Receipt {number}",
            body=email.pack(email.Content(text=BODY)),
            account_id=account,
            scheduled_at=due,
        )
        yield Row(
            workspace="default",
            email_id=email_id,
            account_id=account,
            state=WAITING,
            due_at=due,
            sequence=0,
            payload=Payload(email=mail),
        )


async def fill(database_url: str, made: Iterator[Row]) -> None:
    """Copy the rows into the table, in chunks."""
    async with scheduling.table(database_url) as table:
        while chunk := [row for _, row in zip(range(CHUNK), made, strict=False)]:
            async with table.transaction() as tx:
                await tx.copy(chunk)


async def write_accounts(client: Any, count: int) -> None:
    """Write the accounts: 512 connections are a credit of 1,024."""
    bucket = Bucket(client, topology.ACCOUNTS, Account)
    now = datetime.now(UTC)
    for number in range(count):
        name = f"account-{number}"
        account = Account(
            id=name,
            workspace="default",
            name=name,
            smtp=Smtp(host="127.0.0.1", port=25),
            identities=(),
            limits=Limits(connections=512),
            created_at=now,
            updated_at=now,
        )
        await bucket.put(configuration.account_key("default", name), account)


async def releases(client: Any, count: int) -> list[tuple[datetime, datetime]]:
    """Return (due, on disk) of every release in the log."""
    found: list[tuple[datetime, datetime]] = []

    async def on_message(message: Msg) -> None:
        event = json.loads(message.data)
        due = datetime.fromisoformat(event["email"]["scheduled_at"])
        found.append((due, message.metadata.timestamp))

    subscription = await client.jetstream().subscribe(
        "emails.*.*.released", cb=on_message, ordered_consumer=True
    )
    await eventually(lambda: len(found) >= count, within=300, every=0.5)
    await subscription.unsubscribe()
    return found


async def _end(process: asyncio.subprocess.Process | None) -> None:
    if process is not None:
        process.kill()
        await process.wait()


async def measure(waiting: int, burst: int, accounts: int) -> dict[str, float]:
    """Run one scheduler on servers of its own and return the figures."""
    home = servers.own_directory()
    broker, postgres = servers.NatsServer(home), servers.PostgresServer(home, durable=True)
    answering: asyncio.subprocess.Process | None = None
    punctual = PUNCTUAL_RATE * PUNCTUAL_SECONDS
    try:
        await asyncio.to_thread(broker.start)
        await asyncio.to_thread(postgres.start)
        await runtime.bootstrap(broker.url)
        await database.migrate(postgres.url, None)
        client = await log.connect(broker.url, "bench")
        await write_accounts(client, accounts)
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        await fill(postgres.url, rows(max(0, waiting - burst - punctual), tomorrow, 1000, accounts))
        process = scheduling.SchedulerProcess(home, broker.url, postgres.url)
        await asyncio.to_thread(process.start)
        answering = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.scheduled_release", "--answering", broker.url
        )
        watch = Watch(process.pid)
        first = await _fill_due(postgres.url, burst, 0, accounts)
        await _until(client, burst, watch)
        second = await _fill_due(postgres.url, punctual, PUNCTUAL_RATE, accounts)
        await _until(client, burst + punctual, watch)
        watch.look()
        found = await releases(client, burst + punctual)
        await client.close()
        process.kill()
    finally:
        await _end(answering)
        await asyncio.to_thread(postgres.kill)
        await asyncio.to_thread(broker.kill)
        shutil.rmtree(home, ignore_errors=True)
    at_once = [at for due, at in found if due == first]
    late = [(at - due).total_seconds() for due, at in found if due >= second]
    assert (len(at_once), len(late)) == (burst, punctual), "the log has other releases than those waited for"
    return {
        "waiting": float(waiting),
        "released": float(len(found)),
        "per_second": burst / (max(at_once) - first).total_seconds(),
        "first_after_s": (min(at_once) - first).total_seconds(),
        "late_p50_s": quantile(late, 0.5),
        "late_p99_s": quantile(late, 0.99),
        "late_max_s": max(late),
        "early": float(sum(each < 0 for each in late)),
        **watch.figures(len(found)),
    }


class Watch:
    """Memory and CPU of the scheduler's process."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._cpu = self._used = self._process.cpu_times()
        self._before = self._peak = self._now = self._process.memory_info().rss

    def look(self) -> None:
        """Note the memory in use."""
        self._now = self._process.memory_info().rss
        self._used = self._process.cpu_times()
        self._peak = max(self._peak, self._now)

    def figures(self, count: int) -> dict[str, float]:
        """Return what was seen; the CPU per release."""
        cpu = self._used
        return {
            "cpu_us": (cpu.user + cpu.system - self._cpu.user - self._cpu.system) / count * 1e6,
            "rss_before_mb": self._before / 1e6,
            "rss_peak_mb": self._peak / 1e6,
            "rss_after_mb": self._now / 1e6,
            "rss_growth_mb": (self._now - self._before) / 1e6,
        }


async def _fill_due(url: str, count: int, per_second: float, accounts: int) -> datetime:
    """Insert rows that are due from a moment on soon after the last is in; return that moment."""
    start = datetime.now(UTC) + timedelta(seconds=5 + count / 5_000)
    await fill(url, rows(count, start, per_second, accounts))
    assert datetime.now(UTC) < start, "filling took longer than planned"
    return start


async def _until(client: Any, count: int, watch: Watch) -> None:
    """Wait for so many releases."""
    deadline = asyncio.get_running_loop().time() + 120 + count / 500
    while await _released(client) < count:
        watch.look()
        assert asyncio.get_running_loop().time() < deadline, "not released in time"
        await asyncio.sleep(1)


async def _released(client: Any) -> int:
    # Subjects are counted by the broker: the outcomes are no releases.
    info = await client.request(
        f"$JS.API.CONSUMER.CREATE.{topology.LOG}",
        json.dumps(
            {
                "stream_name": topology.LOG,
                "config": {
                    "filter_subject": "emails.*.*.released",
                    "ack_policy": "none",
                    "deliver_policy": "all",
                    "inactive_threshold": 2_000_000_000,
                },
            }
        ).encode(),
        timeout=10,
    )
    return int(json.loads(info.data)["num_pending"])


async def answer_for_ever(url: str) -> None:
    """Answer every release with `sent`."""
    async with scheduling.dispatching(url):
        await asyncio.Event().wait()


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.scheduled_release", description=__doc__)
    parser.add_argument("--waiting", type=int, default=200_000)
    parser.add_argument("--burst", type=int, default=50_000, help="how many of them are due at one moment")
    parser.add_argument("--accounts", type=int, default=128)
    parser.add_argument("--answering", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one line of JSON only")
    options = parser.parse_args()
    if options.answering:
        uvloop.run(answer_for_ever(options.answering))
        return
    found = uvloop.run(measure(options.waiting, options.burst, options.accounts))
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:>16} {value:,.3f}")


if __name__ == "__main__":
    main()
