import asyncio
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.controls.eventually import eventually
from tests.integration.gateway.emails.door import GOOD, Answer, Behind, Door


def _is_replay(answer: Answer) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


async def test_fifty_equal_calls_at_once_make_one_email(door: Door, behind: Behind) -> None:
    answers = await asyncio.gather(*(door.send("order-7") for _ in range(50)))
    assert {answer.status for answer in answers} == {202}
    assert len({msgspec.json.encode(answer.data) for answer in answers}) == 1
    assert sum(not _is_replay(answer) for answer in answers) == 1
    assert await behind.emails_in_log() == 1
    assert len(await behind.history(answers[0].data["id"])) == 1


async def test_another_body_under_the_same_key_is_409(door: Door, behind: Behind) -> None:
    first = await door.sent("order-7")
    for changes in ({"subject": "Other"}, {"metadata": {"a": "b"}}, {"to": "bob@world.test"}):
        answer = await door.send("order-7", **changes)
        assert (answer.status, answer.error["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    await behind.project(first["id"])
    assert (await door.send("order-7", subject="Other")).status == 409
    assert (await door.sent("order-7")) == first
    assert await behind.emails_in_log() == 1


async def test_two_bodies_racing_for_one_key_make_one_email(door: Door, behind: Behind) -> None:
    answers = await asyncio.gather(*(door.send("k", subject=f"Number {n % 2}") for n in range(40)))
    won = {answer.data["subject"] for answer in answers if answer.status == 202}
    assert len(won) == 1
    assert sorted({answer.status for answer in answers}) == [202, 409]
    assert await behind.emails_in_log() == 1


async def test_the_order_of_a_bodys_fields_does_not_matter(door: Door) -> None:
    first = await door.sent("k", metadata={"a": "1", "b": "2"})
    body = b'{"text":"Hello.","metadata":{"b":"2","a":"1"}, "subject":"Welcome","to":"ann@world.test"}'
    answer = await door.ask("POST", "/emails/send", body, Idempotency_Key="k")
    assert _is_replay(answer)
    assert answer.data == first


async def test_a_repeat_is_answered_from_the_row_when_the_log_is_trimmed(door: Door, behind: Behind) -> None:
    first = await door.sent("k")
    await behind.project(first["id"])
    await behind.trim(first["id"])
    answer = await door.send("k")
    assert _is_replay(answer)
    assert answer.data == first
    assert await behind.history(first["id"]) == []
    assert (await door.send("k", subject="Other")).status == 409


async def test_a_repeat_says_what_was_said_first_whatever_happened_since(door: Door, behind: Behind) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    fields = {"scheduled_at": at.isoformat()}
    first = await door.sent("k", **fields)
    later = (at + timedelta(hours=1)).isoformat()
    assert (await door.ask("PATCH", f"/emails/{first['id']}", {"scheduled_at": later})).status == 200
    assert (await door.ask("DELETE", f"/emails/{first['id']}")).status == 200
    assert (await door.sent("k", **fields)) == first
    await behind.project(first["id"])
    assert (await door.sent("k", **fields)) == first


@pytest.mark.parametrize("projected", [True, False])
async def test_a_repeat_passes_when_the_configuration_would_refuse_it_now(
    door: Door, behind: Behind, projected: bool
) -> None:
    first = await door.sent("k")
    if projected:
        await behind.project(first["id"])
    await behind.change_account(disabled=True)

    async def refused() -> bool:
        return (await door.send()).status == 422

    await eventually(refused)
    answer = await door.send("k")
    assert _is_replay(answer)
    assert answer.data == first
    assert (await door.send("k", subject="Other")).status == 409


async def test_a_key_belongs_to_one_workspace(door: Door, behind: Behind) -> None:
    first = await door.sent("k")
    token, _ = await behind.workspace(f"{behind.name}-other")
    other = await Door(door.url, token, door.session).sent("k")
    assert other["id"] != first["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_what_is_no_key_is_400(door: Door, key: str) -> None:
    answer = await door.ask("POST", "/emails/send", GOOD, Idempotency_Key=key)
    assert (answer.status, answer.paths) == (400, ['$.headers["Idempotency-Key"]'])
    both = await door.ask("POST", "/emails/send", GOOD | {"to": "nobody"}, Idempotency_Key=key)
    assert (both.status, both.paths) == (400, ['$.headers["Idempotency-Key"]', "$.to"])


async def test_without_a_key_each_call_is_an_email(door: Door, behind: Behind) -> None:
    await asyncio.gather(*(door.sent() for _ in range(5)))
    assert await behind.emails_in_log() == 5


async def test_a_large_body_of_a_loser_does_not_replace_the_winners(door: Door) -> None:
    texts = [random.Random(seed).randbytes(200_000).hex() for seed in (1, 2)]
    first = await door.sent("k", text=texts[0])
    assert (await door.send("k", text=texts[1])).status == 409
    assert (await door.show(first["id"], "content")).data["text"] == texts[0]
