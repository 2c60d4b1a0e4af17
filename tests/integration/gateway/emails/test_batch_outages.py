"""What becomes of a batch while one of the servers behind the door is gone, or the gateway itself dies."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from services.gateway import identifiers
from shared.runtime import topology
from tests.controls import servers
from tests.controls.eventually import eventually
from tests.integration.gateway.emails import door as doors
from tests.integration.gateway.emails.door import Answer, Behind, Door

SIZE = 500
BODY: dict[str, Any] = {
    "subject": "Order {{ number }}",
    "text": "Order {{ number }}.",
    "recipients": [
        {"to": f"user{number}@world.test", "variables": {"number": number}} for number in range(SIZE)
    ],
}


class House(NamedTuple):
    """A gateway and the servers behind it, each of which may be killed."""

    door: Door
    behind: Behind
    gateway: doors.Gateway
    nats: servers.NatsServer
    postgres: servers.PostgresServer

    async def batch(self, key: str) -> Answer:
        return await self.door.ask("POST", "/emails/batch", BODY, Idempotency_Key=key)

    async def stored(self, key: str) -> int:
        """Return how many emails of the batch under this key the log has."""
        return len(self._ids(key) & await self._in_log())

    async def is_whole(self, key: str) -> bool:
        return await self.stored(key) == SIZE

    async def _in_log(self) -> set[str]:
        stream = self.behind.log.client.jetstream()
        info = await stream.stream_info(topology.LOG, subjects_filter=f"emails.{self.behind.name}.>")
        return {subject.split(".")[2] for subject in info.state.subjects or ()}

    def _ids(self, key: str) -> set[str]:
        parts = ["", *(str(number) for number in range(1, SIZE))]
        return {identifiers.keyed(self.behind.name, key, part) for part in parts}


@pytest.fixture
async def house(
    own_nats: servers.NatsServer, own_postgres: servers.PostgresServer, home: Path
) -> AsyncIterator[House]:
    await doors.prepare(own_nats.url, own_postgres.url)
    gateway = doors.Gateway(own_nats.url, own_postgres.url, home).start()
    async with (
        doors.behind(own_nats.url, own_postgres.url) as behind,
        doors.open_door(behind, gateway.url) as door,
    ):
        yield House(door, behind, gateway, own_nats, own_postgres)
    gateway.kill()


async def test_without_postgres_batches_are_taken_and_told_again(house: House) -> None:
    house.postgres.kill()
    first = await house.batch("k")
    assert first.status == 202, first.body
    again = await house.batch("k")
    assert (again.status, again.body) == (202, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await house.door.send("k")).status == 409
    assert await house.stored("k") == SIZE


@pytest.mark.parametrize("silent", [True, False])
async def test_without_the_broker_a_batch_is_refused_in_time(house: House, silent: bool) -> None:
    await house.batch("warm")
    house.nats.pause() if silent else house.nats.kill()
    began = time.monotonic()
    answers = await asyncio.gather(*(house.batch(f"k{number}") for number in range(6)))
    assert time.monotonic() - began < 5  # 2 s on a machine that does nothing else
    for answer in answers:
        assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
        assert "Retry-After" in answer.headers
        assert "Idempotency-Key" in answer.error["message"]
    house.nats.resume() if silent else house.nats.start()

    async def is_taken() -> bool:
        return (await house.batch("k0")).status == 202

    await eventually(is_taken, within=15)
    assert await house.stored("k0") == SIZE
    for number in range(1, 6):
        assert await house.stored(f"k{number}") in (0, SIZE)


@pytest.mark.timeout(180)
async def test_a_gateway_killed_in_the_middle_leaves_all_of_a_batch_or_nothing(house: House) -> None:
    answered: dict[str, Answer] = {}
    keys: list[str] = []

    async def ask_until_it_dies(sender: int, turn: int) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            for number in range(1000):
                key = f"{turn}-{sender}-{number}"
                keys.append(key)
                answered[key] = await house.batch(key)

    for turn in range(6):
        load = asyncio.gather(*(ask_until_it_dies(sender, turn) for sender in range(4)))
        begun = len(answered)
        await eventually(lambda begun=begun: len(answered) >= begun + 3, within=30, every=0.007)  # type: ignore[misc]
        house.gateway.kill()
        await load
        house.gateway.start()
    in_part = {key: count for key in keys if (count := await house.stored(key)) not in (0, SIZE)}
    assert not in_part
    assert {answer.status for answer in answered.values()} == {202}
    for key, answer in answered.items():
        assert await house.is_whole(key)
        if key.endswith("-0"):
            assert (await house.batch(key)).body == answer.body
    for key in [key for key in keys if key not in answered]:
        assert (await house.batch(key)).status == 202
        assert await house.is_whole(key)
