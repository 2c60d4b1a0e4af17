"""`sendlog tail` on a real broker: each event once and in order, also across a broker that went away."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.failure import FORBIDDEN
from shared.events import delivery, record, submission
from shared.events.base import WorkspaceId
from shared.runtime import configuration, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import ApiKey
from shared.runtime.log import Log
from tests.controls.emails import a_record, a_request
from tests.controls.eventually import eventually
from tests.controls.runtime import bootstrap, open_log
from tests.controls.servers import ROOT, NatsServer

TOKEN = "sk_tail"


class Tail:
    """A running `sendlog tail --json` and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.seen: list[dict[str, Any]] = []

    async def hear(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.seen.append(json.loads(line))

    def names(self) -> list[str]:
        return [event["type"].removeprefix("email.") for event in self.seen]


@asynccontextmanager
async def tailing(url: str, *words: str) -> AsyncIterator[Tail]:
    environment = {**os.environ, "SENDLOG_HOME": "/nowhere", "SENDLOG_NATS_URL": url}
    environment |= {"SENDLOG_URL": "http://127.0.0.1:9", "SENDLOG_API_KEY": TOKEN}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "tail", "--json", *words,
        cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    tail = Tail(process)
    hearing = asyncio.create_task(tail.hear())
    try:
        yield tail
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await hearing


async def _a_key(emails: Log, *permissions: str, expires_at: datetime | None = None) -> None:
    key = ApiKey(
        id="k",
        workspace="default",
        name="k",
        permissions=permissions,
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )
    await Bucket(emails.client, topology.KEYS, ApiKey).put(configuration.hash_token(TOKEN), key)


def _sending(of: record.Record) -> record.Record:
    event = delivery.Sending(
        occurred_at=datetime.now(UTC),
        round=1,
        attempt=1,
        claim_id="c",
        account_id=of.event.email.account_id,  # type: ignore[attr-defined]
    )
    return a_record(event, email_id=of.email_id)


async def test_events_come_in_order_from_the_moment_asked_for(clean_nats: str) -> None:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, publisher):
        await _a_key(emails, "events.read")
        request = a_request("ann@world.test", text="a secret body")
        await publisher.append(request)
        async with tailing(clean_nats, "--since", "1m") as tail:
            await eventually(lambda: len(tail.seen) == 1, within=20)
            await publisher.append(_sending(request))
            await eventually(lambda: tail.names() == ["requested", "sending"])
    first = tail.seen[0]
    assert (first["email_id"], first["workspace"], first["id"]) == (
        request.email_id,
        "default",
        request.event_id,
    )
    assert first["data"]["email"]["to"] == [{"address": "ann@world.test", "name": ""}]
    assert "a secret body" not in json.dumps(tail.seen)


async def test_without_a_moment_only_what_is_new_is_shown(clean_nats: str) -> None:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, publisher):
        await _a_key(emails, "events.read")
        old = a_request()
        await publisher.append(old)
        async with tailing(clean_nats) as tail:

            async def heard() -> bool:
                await publisher.append(a_request())
                return bool(tail.seen)

            await eventually(heard, within=20, every=0.2)
    assert old.email_id not in {event["email_id"] for event in tail.seen}


async def test_another_workspace_and_other_types_are_left_out(clean_nats: str) -> None:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, publisher):
        await _a_key(emails, "events.read")
        request = a_request()
        await publisher.append(request)
        await publisher.append(_sending(request))
        await publisher.append(_sending(request)._replace(workspace=WorkspaceId("other")))
        await publisher.append(
            a_record(submission.Cancelled(occurred_at=datetime.now(UTC)), email_id=request.email_id)
        )
        async with tailing(clean_nats, "--since", "1m", "--types", "sending,email.cancelled") as tail:
            await eventually(lambda: tail.names() == ["sending", "cancelled"], within=20)


async def test_one_email_is_told_from_its_beginning(clean_nats: str) -> None:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, publisher):
        await _a_key(emails, "events.read")
        request = a_request()
        for item in (request, a_request(), _sending(request)):
            await publisher.append(item)
        async with tailing(clean_nats, "--email", request.email_id) as tail:
            await eventually(lambda: tail.names() == ["requested", "sending"], within=20)


async def test_a_broker_that_was_away_costs_no_event_and_repeats_none(own_nats: NatsServer) -> None:
    await bootstrap(own_nats.url)
    requests = [a_request() for _ in range(30)]
    async with open_log(own_nats.url) as (emails, publisher):
        await _a_key(emails, "events.read")
        async with tailing(own_nats.url, "--since", "1m") as tail:
            for request in requests[:10]:
                await publisher.append(request)
            await eventually(lambda: len(tail.seen) == 10, within=20)
            own_nats.kill()
            await asyncio.to_thread(own_nats.start)
            for request in requests[10:]:
                await publisher.append(request)
            await eventually(lambda: len(tail.seen) >= 30, within=30)
    assert [event["email_id"] for event in tail.seen] == [request.email_id for request in requests]


@pytest.mark.parametrize("permissions", [(), ("email.send",)])
async def test_a_key_that_may_not_read_events_is_shown_none(
    clean_nats: str, permissions: tuple[str, ...]
) -> None:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, _):
        if permissions:
            await _a_key(emails, *permissions)
        async with tailing(clean_nats) as tail:
            assert await tail.process.wait() == 4


async def test_no_broker_is_unreachable(free_port: int) -> None:
    async with tailing(f"nats://127.0.0.1:{free_port}") as tail:
        assert await tail.process.wait() == 3


async def test_an_expired_key_is_refused(clean_nats: str) -> None:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, _):
        await _a_key(emails, "events.read", expires_at=datetime.now(UTC))
        async with tailing(clean_nats) as tail:
            async with asyncio.timeout(20):
                await tail.process.wait()
    assert (tail.process.returncode, tail.seen) == (FORBIDDEN, [])
