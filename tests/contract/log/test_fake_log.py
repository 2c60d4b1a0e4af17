"""The log in memory behaves as the real one: one suite, run on both."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from shared.events import record, submission
from shared.runtime.publisher import Conflict
from tests.controls import runtime
from tests.controls.emails import a_record, a_request
from tests.fakes.log import FakeLog


class Both(NamedTuple):
    writer: Any
    reader: Any


@pytest.fixture
def fake_log() -> Both:
    fake = FakeLog()
    return Both(fake, fake)


@pytest.fixture
async def real_log(clean_nats: str) -> AsyncIterator[Both]:
    await runtime.bootstrap(clean_nats)
    async with runtime.open_log(clean_nats) as (reader, writer):
        yield Both(writer, reader)


@pytest.fixture(params=["fake_log", "real_log"])
def log(request: pytest.FixtureRequest) -> Both:
    found: Both = request.getfixturevalue(request.param)
    return found


def cancelled(of: record.Record) -> record.Record:
    return a_record(submission.Cancelled(occurred_at=datetime.now(UTC)), email_id=of.email_id)


async def test_sequences_grow_and_histories_keep_their_order(log: Both) -> None:
    first = a_request()
    one = await log.writer.append(first, guard=0)
    other = await log.writer.append(a_request(), guard=0)
    two = await log.writer.append(cancelled(first), guard=one)
    assert one < other < two
    history = await log.reader.history(first.workspace, first.email_id)
    assert [item.sequence for item in history] == [one, two]
    assert history[0].event == first.event


async def test_a_stale_guard_is_a_conflict_and_stores_nothing(log: Both) -> None:
    first = a_request()
    one = await log.writer.append(first, guard=0)
    await log.writer.append(cancelled(first), guard=one)
    for guard in (0, one):
        with pytest.raises(Conflict):
            await log.writer.append(cancelled(first), guard=guard)
    assert len(await log.reader.history(first.workspace, first.email_id)) == 2


async def test_an_unguarded_record_is_stored_as_often_as_it_is_said(log: Both) -> None:
    first = a_request()
    await log.writer.append(first)
    await log.writer.append(first)
    assert len(await log.reader.history(first.workspace, first.email_id)) == 2


async def test_of_many_guarded_writers_one_wins(log: Both) -> None:
    first = a_request()
    one = await log.writer.append(first, guard=0)
    answers = await asyncio.gather(
        *(log.writer.append(cancelled(first), guard=one) for _ in range(30)), return_exceptions=True
    )
    assert sum(isinstance(answer, int) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 29


async def test_an_unknown_email_has_no_history(log: Both) -> None:
    assert await log.reader.history("default", str(uuid.uuid4())) == []
