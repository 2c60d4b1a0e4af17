"""One dispatcher, a real broker and a real SMTP server: what becomes of an email is what is written down."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from shared.events import delivery, schedule, submission
from shared.events.base import AccountId
from shared.events.record import Record
from shared.runtime import topology
from shared.runtime.configuration import Limits, Smtp
from shared.runtime.log import Log
from shared.runtime.publisher import Publisher
from tests.controls import dispatching, runtime
from tests.controls.dispatching import an_account, history, messages, names
from tests.controls.emails import a_record, a_request
from tests.controls.eventually import eventually
from tests.controls.servers import MailboxAddress, Process


class World(NamedTuple):
    log: Log
    publisher: Publisher
    mailbox: MailboxAddress
    dispatcher: Process
    home: Path
    nats: str


@pytest.fixture
async def world(clean_nats: str, mailbox: MailboxAddress, home: Path) -> AsyncIterator[World]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as (log, publisher):
        await dispatching.store(log, an_account(mailbox.smtp_port))
        process = dispatching.a_dispatcher(home, clean_nats)
        await asyncio.to_thread(process.start, within=60)
        try:
            yield World(log, publisher, mailbox, process, home, clean_nats)
        finally:
            await asyncio.to_thread(process.stop)


async def another_account(world: World, **fields: Any) -> AccountId:
    """Store an account the dispatcher has never heard of: it asks the broker for it, so nobody has to wait."""
    account = an_account(world.mailbox.smtp_port, id=str(uuid.uuid4()), **fields)
    await dispatching.store(world.log, account)
    return AccountId(account.id)


async def test_an_email_arrives_and_its_story_is_in_the_log(world: World) -> None:
    item = a_request("ann@world.test", text="Zażółć gęślą jaźń\n.\nend")
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "sending", "sent"]))
    (message,) = messages(world.mailbox.url)
    assert message["mail_from"] == "hello@sendlog.test"
    assert message["rcpt_to"] == ["ann@world.test"]
    sent = (await history(world.log, item))[-1].event
    assert isinstance(sent, delivery.Sent)
    assert sent.recipients[0].smtp_code == 250
    assert sent.conversation is not None
    verbs = [line.verb.split(" ")[0].split(":")[0] for line in sent.conversation.lines]
    assert "MAIL" in verbs
    assert "DATA" in verbs


async def test_a_refused_recipient_fails_with_the_servers_words(world: World) -> None:
    item = a_request("550+x@world.test")
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "sending", "failed"]))
    failed = (await history(world.log, item))[-1].event
    assert isinstance(failed, delivery.Failed)
    assert failed.reason.code == "550"
    assert failed.reason.category == "invalid_recipient"
    assert not failed.reason.retryable


async def test_a_temporary_refusal_is_deferred_for_about_a_minute(world: World) -> None:
    item = a_request("450+x@world.test")
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "sending", "deferred"]))
    deferred = (await history(world.log, item))[-1].event
    assert isinstance(deferred, delivery.Deferred)
    wait = deferred.next_attempt_at - deferred.occurred_at
    assert timedelta(seconds=47) < wait < timedelta(seconds=73)
    assert deferred.email is not None
    assert deferred.email.body is not None
    assert deferred.attempts == 1


async def test_three_recipients_end_each_on_their_own(world: World) -> None:
    item = a_request("ok@world.test", "450+x@world.test", "550+x@world.test")
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "sending", "deferred"]))
    deferred = (await history(world.log, item))[-1].event
    assert isinstance(deferred, delivery.Deferred)
    assert [result.status for result in deferred.recipients] == ["sent", "deferred", "failed"]
    assert await dispatching.raw_status(world.log, item) == "deferred"


@pytest.mark.parametrize(
    ("policy", "recipient", "outcome"),
    [
        ("at_least_once", "drop+x@world.test", "deferred"),
        ("at_most_once", "drop+x@world.test", "deferred"),
        ("at_least_once", "commitdrop+x@world.test", "deferred"),
        ("at_most_once", "commitdrop+x@world.test", "unconfirmed"),
    ],
)
async def test_a_lost_answer_is_decided_by_the_accounts_policy(
    world: World, policy: str, recipient: str, outcome: str
) -> None:
    account = await another_account(world, ambiguity=policy)
    item = a_request(recipient, account_id=account, text="a line that is not the last one\r\n" * 200_000)
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "sending", outcome]))


async def test_a_cancelled_email_is_not_sent(world: World) -> None:
    item = a_request()
    cancelled = a_record(submission.Cancelled(occurred_at=datetime.now(UTC)), email_id=item.email_id)
    world.dispatcher.pause()
    sequence = await world.publisher.append(item, guard=0)
    await world.publisher.append(cancelled, guard=sequence)
    world.dispatcher.resume()
    other = a_request("later@world.test")
    await world.publisher.append(other, guard=0)
    await eventually(lambda: _has(world, other, ["requested", "sending", "sent"]))
    assert await names(world.log, item) == ["requested", "cancelled"]
    assert len(messages(world.mailbox.url)) == 1


async def test_what_is_past_its_deadline_fails_as_expired(world: World) -> None:
    item = a_request(at=datetime.now(UTC) - timedelta(hours=80))
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "failed"]))
    failed = (await history(world.log, item))[-1].event
    assert isinstance(failed, delivery.Failed)
    assert failed.reason.code == "expired"


@pytest.mark.parametrize(
    ("change", "code"), [("disabled", "account_disabled"), ("deleted", "account_deleted")]
)
async def test_mail_of_an_unusable_account_waits_and_says_why(world: World, change: str, code: str) -> None:
    account = "0e6a3a52-0000-4000-8000-00000000dead"
    if change == "disabled":
        account = await another_account(world, disabled=True)
    item = a_request(account_id=account)
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "deferred"]))
    deferred = (await history(world.log, item))[-1].event
    assert isinstance(deferred, delivery.Deferred)
    assert (deferred.reason.code, deferred.attempts) == (code, 0)


async def test_a_server_that_does_not_answer_trips_the_breaker_and_burns_no_attempt(world: World) -> None:
    account = await another_account(world, smtp=Smtp(host="127.0.0.1", port=9, tls="none"))  # nobody listens
    items = [a_request(account_id=account) for _ in range(8)]
    for item in items:
        await world.publisher.append(item, guard=0)
        await eventually(partial(_last_is, world, item, "deferred"))
    last = (await history(world.log, items[-1]))[-1].event
    assert isinstance(last, delivery.Deferred)
    assert last.reason.code == "breaker_open"
    for item in items:
        deferred = (await history(world.log, item))[-1].event
        assert isinstance(deferred, delivery.Deferred)
        assert deferred.attempts == 0


async def test_what_exceeds_the_slots_is_deferred_once_and_the_rest_is_not_held_up(world: World) -> None:
    account = await another_account(world, limits=Limits(connections=1))
    items = [a_request("slow+x@world.test", account_id=account) for _ in range(20)]
    await asyncio.gather(*(world.publisher.append(item, guard=0) for item in items))
    await eventually(lambda: _count_deferred(world, items, 16))
    for item in items:
        found = [item.event for item in await history(world.log, item)]
        if isinstance(found[-1], delivery.Deferred):
            assert found[-1].reason.code == "no_slot"
            assert len(found) == 2


async def test_a_limit_per_second_is_kept(world: World) -> None:
    account = await another_account(world, limits=Limits(per_second=5))
    items = [a_request(account_id=account) for _ in range(9)]
    started = time.monotonic()
    for item in items:
        await world.publisher.append(item, guard=0)
    await eventually(lambda: len(messages(world.mailbox.url)) >= 8, within=10)
    assert time.monotonic() - started >= 1.2


async def test_a_release_that_carries_no_email_goes_to_the_dead_letters(world: World) -> None:
    now = datetime.now(UTC)
    empty = a_record(schedule.Released(occurred_at=now, round=1, expires_at=now + timedelta(hours=1)))
    await world.publisher.append(empty)
    stream = world.log.client.jetstream()

    async def is_dead() -> bool:
        return (await stream.stream_info(topology.DEAD_LETTERS)).state.messages == 1

    await eventually(is_dead)
    item = a_request()
    await world.publisher.append(item, guard=0)
    await eventually(lambda: _has(world, item, ["requested", "sending", "sent"]))


async def test_a_killed_dispatchers_mail_is_taken_over(world: World) -> None:
    items = [a_request("slow+x@world.test") for _ in range(5)]
    await asyncio.gather(*(world.publisher.append(item, guard=0) for item in items))
    await eventually(lambda: _all_claimed(world, items))
    world.dispatcher.kill()
    second = dispatching.a_dispatcher(world.home, world.nats, "second")
    await asyncio.to_thread(second.start)
    try:
        for item in items:
            await eventually(partial(_last_is, world, item, "sent"), within=55)
            found = [event.event for event in await history(world.log, item)]
            claims = [event for event in found if isinstance(event, delivery.Sending)]
            assert [claim.round for claim in claims] == [1, 2]
    finally:
        await asyncio.to_thread(second.stop)


async def test_a_stop_finishes_what_is_claimed_and_leaves_the_rest(world: World) -> None:
    items = [a_request("slow+x@world.test") for _ in range(10)]
    await asyncio.gather(*(world.publisher.append(item, guard=0) for item in items))
    await eventually(lambda: _all_claimed(world, items))
    assert await asyncio.to_thread(world.dispatcher.stop, within=30) == 0
    for item in items:
        assert (await names(world.log, item))[-1] == "sent"


async def _has(world: World, item: Record, expected: list[str]) -> bool:
    found = await names(world.log, item)
    assert found == expected
    return True


async def _last_is(world: World, item: Record, name: str) -> bool:
    found = await names(world.log, item)
    return bool(found[-1] == name)


async def _all_claimed(world: World, items: list[Record]) -> bool:
    return all(["sending" in await names(world.log, item) for item in items])


async def _count_deferred(world: World, items: list[Record], at_least: int) -> bool:
    lasts = [(await names(world.log, item))[-1] for item in items]
    return lasts.count("deferred") >= at_least
