"""A batch said again is told again, and a key names one request only."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.controls.eventually import eventually
from tests.integration.gateway.emails.batches import accepted, batch, is_replay, recipients
from tests.integration.gateway.emails.door import Behind, Door


async def test_fifty_equal_batches_at_once_make_one(door: Door, behind: Behind) -> None:
    answers = await asyncio.gather(*(batch(door, recipients(100), "b") for _ in range(50)))
    assert {answer.status for answer in answers} == {202}
    assert len({msgspec.json.encode(answer.body) for answer in answers}) == 1
    assert sum(not is_replay(answer) for answer in answers) == 1
    assert await behind.emails_in_log() == 100


async def test_other_batches_racing_for_one_key_are_told(door: Door, behind: Behind) -> None:
    bodies = [recipients(20), recipients(21)]
    answers = await asyncio.gather(*(batch(door, bodies[number % 2], "b") for number in range(20)))
    assert {answer.status for answer in answers} == {202, 409}
    counts = {answer.body["meta"]["total"] for answer in answers if answer.status == 202}
    assert len(counts) == 1
    assert await behind.emails_in_log() == counts.pop()


@pytest.mark.parametrize("projected", [True, False])
async def test_a_key_names_a_send_or_a_batch_and_never_both(
    door: Door, behind: Behind, projected: bool
) -> None:
    single = await door.sent("single")
    many = (await accepted(door, recipients(3), "many")).data
    if projected:
        for email_id in (single["id"], *(item["id"] for item in many)):
            await behind.project(email_id)
    answer = await batch(door, recipients(3), "single")
    assert (answer.status, answer.error["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    answer = await door.send("many")
    assert (answer.status, answer.error["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert await behind.emails_in_log() == 4


@pytest.mark.parametrize("mode", ["atomic", "partial"])
@pytest.mark.parametrize("trimmed", [True, False])
async def test_a_repeat_is_answered_alike_whatever_happened_since(
    door: Door, behind: Behind, trimmed: bool, mode: str
) -> None:
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = recipients(4, mode=mode)
    body["recipients"][2]["scheduled_at"] = at
    answer = await accepted(door, body, "k")
    assert [item["status"] for item in answer.data] == ["queued", "queued", "scheduled", "queued"]
    assert (await door.ask("DELETE", f"/emails/{answer.data[2]['id']}")).status == 200
    if trimmed:
        for item in answer.data:
            await behind.project(item["id"])
            await behind.trim(item["id"])
    await behind.change_account(disabled=True)

    async def refused() -> bool:
        return (await batch(door, body | {"mode": "atomic"})).status == 422

    await eventually(refused)
    again = await accepted(door, body, "k")
    assert is_replay(again)
    assert again.body == answer.body
    assert (await batch(door, recipients(4), "k")).status == 409
