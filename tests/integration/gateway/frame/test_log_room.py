"""When the log is nearly full, new mail is refused in time and in words, and room is noticed too."""

import random

import pytest

from services.gateway import log_room
from tests.controls.eventually import eventually
from tests.controls.gateways import ACCOUNT, Gateways


def test_the_last_tenth_of_the_log_is_not_for_new_mail() -> None:
    assert log_room.has_room(899, 1000)
    assert not log_room.has_room(900, 1000)
    assert log_room.has_room(10**12, -1)


async def test_a_log_that_fills_up_is_noticed(replicas: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_room, "ASKED_EVERY", 0.05)
    client = await replicas.replica(await replicas.key())
    email = {"to": "ann@world.test", "subject": "s", "text": "t"}
    payload = b"x" * 900_000
    for number in range(68):  # over 90 % of the 64 MB of the test's log
        await replicas.client.jetstream().publish(f"emails.w.fill{number}.requested.now", payload)

    async def refused() -> bool:
        answer = await client.ask("POST", "/emails/send", email)
        return answer.status == 503 and "Retry-After" in answer.headers

    await client.ask("POST", "/accounts", ACCOUNT)
    assert await eventually(refused)


async def test_a_broker_that_says_it_is_full_is_believed_before_the_next_look(
    replicas: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_room, "FOR_NEW_MAIL", 2.0)  # the mark is never reached
    client = await replicas.replica(await replicas.key())
    await client.ask("POST", "/accounts", ACCOUNT)
    payload = b"x" * 900_000
    for number in range(74):  # all but 500 KB of the 64 MB of the test's log
        await replicas.client.jetstream().publish(f"emails.w.fill{number}.requested.now", payload)
    large = {"to": "ann@world.test", "subject": "s", "text": random.Random(7).randbytes(30_000).hex()}
    small = large | {"text": "t"}

    async def refused() -> bool:
        return (await client.ask("POST", "/emails/send", large)).status == 503

    assert await eventually(refused, within=20)
    answer = await client.ask(
        "POST", "/emails/send", small
    )  # would fit, and the next one's outcome would not
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert "full" in answer.body["error"]["message"]
    await replicas.client.jetstream().purge_stream("EMAILS")

    async def accepted() -> bool:
        return (await client.ask("POST", "/emails/send", small)).status == 202

    assert await eventually(accepted, within=10)
