"""What a million suppressions cost a dispatcher: its memory, and the one question for a batch of records.

`python -m bench.suppressions [ENTRIES]`: an empty list is the control in the same run.
"""

import asyncio
import statistics
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import psutil

from shared.events import record
from shared.runtime import keyring, log
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import STREAM, Entry, Suppressions
from tests.controls import dispatching, runtime, servers
from tests.controls.emails import a_request
from tests.controls.servers import Process

BATCH = 1000
WRITERS = 1
ROUNDS = 50
MAILS = 2000
WAVE = 100
SETTLED_AFTER = 10.0  # seconds; what was just written is still being indexed


async def main(entries: int) -> None:
    """Print the table."""
    home = Path(tempfile.mkdtemp(prefix="sendlog-bench-"))
    broker = servers.NatsServer(home).start()
    mailbox = servers.Mailbox(home).start()
    dispatcher = dispatching.a_dispatcher(home, broker.url)
    try:
        await runtime.bootstrap(broker.url)
        async with runtime.open_log(broker.url) as (emails, publisher):
            account = dispatching.an_account(mailbox.address.smtp_port)
            await dispatching.store(emails, dispatching.with_limits(account, connections=50))
            lists = Suppressions(emails.client, keyring.load(home / "keyring"))
            await lists.open()
            await asyncio.to_thread(dispatcher.start, within=60)
            for count in (0, entries):
                await fill(lists, count, broker)
                await asyncio.sleep(SETTLED_AFTER)
                await ask(lists, count)
                await send(emails, publisher, count, dispatcher)
    finally:
        dispatcher.stop()
        mailbox.stop()
        broker.stop()
        servers.remove(home)


async def fill(lists: Suppressions, count: int, broker: servers.NatsServer) -> None:
    """Write the entries, as an import does."""
    if not count:
        return
    began, now = time.perf_counter(), datetime.now(UTC)
    starts = iter(range(0, count, BATCH))

    async def write() -> None:
        for start in starts:
            await lists.add_all(
                "default",
                [
                    Entry(
                        email=f"gone{n}@world.test",
                        reason="bounce",
                        detail="550 5.1.1 User unknown",
                        created_at=now,
                    )
                    for n in range(start, min(start + BATCH, count))
                ],
            )

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    rate = count / (time.perf_counter() - began)
    size = (await lists._client.jetstream().stream_info(STREAM)).state.bytes
    rss = psutil.Process(broker.pid).memory_info().rss
    print(
        f"{count:>9,} entries written at {rate:,.0f}/s; {size / count:.0f} bytes each on disk; broker RSS {_mb(rss)}"
    )


async def ask(lists: Suppressions, count: int) -> None:
    """Time the question for one address, for a dispatcher's batch and for a whole page."""
    for size in (1, 256, 1000):
        # One in ten is suppressed, as far as there are any.
        asked = [f"gone{n * 37}@world.test" if n % 10 == 0 else f"ok{n}@world.test" for n in range(size)]
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await lists.find("default", asked)
            times.append(time.perf_counter() - began)
        told = f"{statistics.median(times) * 1e3:.2f} ms median, {max(times) * 1e3:.1f} ms worst"
        print(f"{count:>9,} entries: one question for {size:>4} addresses takes {told}")


async def send(emails: log.Log, publisher: Publisher, count: int, dispatcher: Process) -> None:
    """Send mail and tell what the dispatcher's memory and its questions are."""
    before = await _metrics(dispatcher)
    began = time.perf_counter()
    items = [a_request(f"to{count}x{n}@world.test") for n in range(MAILS)]
    for start in range(0, MAILS, WAVE):  # no more at once than the account holds: there is no scheduler here
        wave = items[start : start + WAVE]
        await asyncio.gather(*(publisher.append(item, guard=0) for item in wave))
        for item in reversed(wave):
            await _until_sent(emails, item)
    seconds = time.perf_counter() - began
    asked, batches = (after - then for after, then in zip(await _metrics(dispatcher), before, strict=True))
    rss = _mb(psutil.Process(dispatcher.pid).memory_info().rss)
    print(
        f"{count:>9,} entries: {MAILS} mails in {seconds:.1f} s, {batches:.0f} batches of records, "
        f"{asked:.0f} questions; dispatcher RSS {rss}"
    )


async def _metrics(dispatcher: Process) -> tuple[float, float]:
    """Return how many questions and how many batches of records there were so far."""
    text = await asyncio.to_thread(_scraped, dispatcher._environment["SENDLOG_HEALTH_PORT"])
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    batches = next(
        value for name, value in found.items() if name.startswith("sendlog_handling") and "count" in name
    )
    return float(found["sendlog_suppression_questions_total"]), float(batches)


def _scraped(port: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


async def _until_sent(emails: log.Log, item: record.Record) -> None:
    while "sent" not in await dispatching.names(emails, item):  # noqa: ASYNC110 - it comes from another process
        await asyncio.sleep(0.05)


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
