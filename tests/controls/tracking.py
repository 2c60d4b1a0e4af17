"""A tracker as a process, the people and machines that ask it, and what the log says afterwards."""

import os
import sys
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
import yarl

from deploy.local.ports import LOOPBACK, free_port
from shared.events import delivery, record, signal
from shared.runtime import keyring, log
from shared.runtime.publisher import Publisher
from shared.runtime.tokens import Pointer, Purpose, Tokens
from tests.controls import emails
from tests.controls.servers import Process, _answers

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


class Answered(NamedTuple):
    """What one request got."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TrackerProcess(Process):
    """A tracker; `url` is where its public paths are, `health` what it tells of itself."""

    def __init__(self, home: Path, nats_url: str, database_url: str = NOWHERE, **variables: str) -> None:
        keyring.create(home / "keyring")
        self.tokens = Tokens(keyring.load(home / "keyring"))
        self.journal = home / "journal"
        self.port, self.ingress_port, health = free_port(), free_port(), free_port()
        self.url, self.health = f"http://{LOOPBACK}:{self.port}", f"http://{LOOPBACK}:{health}"
        environment = {
            **os.environ,
            "SENDLOG_NATS_URL": nats_url,
            "SENDLOG_DATABASE_URL": database_url,
            "SENDLOG_CONTENT_URL": f"file://{home}/content",
            "SENDLOG_KEYRING": str(home / "keyring"),
            "SENDLOG_JOURNAL": str(self.journal),
            "SENDLOG_HEALTH_PORT": str(health),
            "SENDLOG_TRACKER_PORT": str(self.port),
            "SENDLOG_INGRESS_PORT": str(self.ingress_port),
            **variables,
        }
        super().__init__(
            [sys.executable, "-m", "services.tracker"],
            lambda: _answers(f"{self.url}/livez"),
            log=home / "tracker.log",
            environment=environment,
        )

    def token(self, purpose: Purpose, item: record.Record, extra: bytes = b"", place: int | None = 0) -> str:
        """Return a signed token about an email."""
        return self.tokens.sign(purpose, Pointer(item.workspace, item.email_id, place, extra).encoded())

    def pixel(self, item: record.Record, place: int | None = 0) -> str:
        """Return the path of an email's pixel."""
        return f"/t/o/{self.token('open', item, place=place)}.gif"

    def link(self, item: record.Record, url: str = "https://shop.test/a?b=1") -> str:
        """Return the path of one of an email's links."""
        return f"/t/c/{self.token('click', item, url.encode())}"

    def unsubscribe(self, item: record.Record) -> str:
        """Return the path where the email's recipient unsubscribes."""
        return f"/u/{self.token('unsubscribe', item)}"

    async def ask(
        self, path: str, method: str = "GET", *, agent: str = PERSON, data: object = None, **headers: str
    ) -> Answered:
        """Ask as a mail program does, without following anything; `X_Name` is the header X-Name."""
        named = {"User-Agent": agent} | {name.replace("_", "-"): value for name, value in headers.items()}
        address = yarl.URL(self.url + path, encoded=True)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session,
            session.request(method, address, headers=named, data=data, allow_redirects=False) as answer,
        ):
            return Answered(answer.status, dict(answer.headers), await answer.read())


async def checks(tracker: TrackerProcess) -> tuple[bool, dict[str, str]]:
    """Return whether the tracker calls itself ready, and what it says of each of its dependencies."""
    async with aiohttp.ClientSession() as session, session.get(f"{tracker.health}/readyz") as answer:
        told = await answer.json()
    return told["ready"], told["checks"]


async def takes(tracker: TrackerProcess) -> bool:
    """Say whether the tracker has its broker, so that hits go on into the log."""
    return (await checks(tracker))[1]["broker"] == "ok"


async def an_email(publisher: Publisher, *to: str, sent: float | None = 3600) -> record.Record:
    """Append an email that was sent so many seconds ago, or not yet."""
    at = datetime.now(UTC) - timedelta(seconds=sent or 0)
    item = emails.a_request(*to, at=at)
    await publisher.append(item, guard=0)
    if sent is not None:
        await publisher.append(was_sent(item, at))
    return item


def was_sent(item: record.Record, at: datetime) -> record.Record:
    """Return the record that says an email was sent then."""
    event = delivery.Sent(occurred_at=at, round=1, attempt=1, claim_id="c")
    return emails.a_record(event, email_id=item.email_id)


async def signals(story: log.Log, item: record.Record) -> list[signal.Signal]:
    """Return what came back about an email, in order."""
    history = await story.history(item.workspace, item.email_id)
    return [found.event for found in history if isinstance(found.event, signal.Signal)]


def quoted(url: str) -> str:
    """Return a URL as one part of a path."""
    return urllib.parse.quote(url, safe="")
