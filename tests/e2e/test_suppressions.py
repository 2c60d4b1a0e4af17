"""Suppressions from door to door: the API answers 201, and from then on nobody's mail reaches the address."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.controls import dispatching
from tests.controls.eventually import eventually
from tests.controls.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    started = World()
    started.start()
    yield started
    started.stop()


def call(world: World, method: str, path: str, body: object = None) -> Any:
    return world.call(method, path, body)["data"]


def send(world: World, *to: str) -> str:
    made = call(world, "POST", "/emails/send", {"to": list(to), "subject": "s", "text": "t"})
    return str(made["id"])


async def ended(world: World, email_id: str) -> dict[str, Any]:
    """Return the email once nothing more will happen to it."""

    async def is_over() -> bool:
        found = await asyncio.to_thread(call, world, "GET", f"/emails/{email_id}")
        return found["status"] not in ("queued", "sending", "deferred")

    await eventually(is_over, within=30)
    found: dict[str, Any] = await asyncio.to_thread(call, world, "GET", f"/emails/{email_id}")
    return found


def received(world: World, to: str) -> int:
    return len(dispatching.messages(f"http://127.0.0.1:{world.ports['MAILBOX']}", to))


async def test_an_email_sent_right_after_the_201_is_suppressed(world: World) -> None:
    sent = []
    for number in range(50):
        call(world, "POST", "/suppressions", {"email": f"Gone{number}@world.test"})
        sent.append(send(world, f"gone{number}@World.test"))
    found = await asyncio.gather(*(ended(world, email_id) for email_id in sent))
    assert {email["status"] for email in found} == {"suppressed"}
    assert {email["unified_status"] for email in found} == {"suppressed"}
    assert {email["status_reason"]["code"] for email in found} == {"suppressed"}
    assert {one["status"] for email in found for one in email["recipients"]} == {"suppressed"}
    assert not any(received(world, f"gone{number}@World.test") for number in range(50))


async def test_the_others_of_one_email_get_it(world: World) -> None:
    call(world, "POST", "/suppressions", {"email": "away@world.test", "reason": "complaint"})
    found = await ended(world, send(world, "away@world.test", "here@world.test"))
    assert found["status"] == "sent"
    assert {one["address"]: one["status"] for one in found["recipients"]} == {
        "away@world.test": "suppressed",
        "here@world.test": "sent",
    }
    assert (received(world, "away@world.test"), received(world, "here@world.test")) == (0, 1)


async def test_a_hard_refusal_suppresses_until_somebody_takes_the_address_off(world: World) -> None:
    refused = await ended(world, send(world, "550+lost@world.test"))
    assert refused["status"] == "failed"
    entry = call(world, "GET", "/suppressions/550%2Blost@world.test")
    assert (entry["reason"], entry["detail"]) == ("bounce", "550 5.1.1 User unknown")
    assert (await ended(world, send(world, "550+lost@world.test")))["status"] == "suppressed"

    def listed() -> bool:
        found = call(world, "GET", "/suppressions?email=550%2Blost@world.test")
        return [one["email"] for one in found] == ["550+lost@world.test"]

    await eventually(listed)
    call(world, "DELETE", "/suppressions/550%2Blost@world.test")
    assert (await ended(world, send(world, "550+lost@world.test")))["status"] == "failed"
