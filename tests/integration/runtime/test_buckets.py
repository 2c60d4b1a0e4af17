"""Configuration buckets on a real broker: followed without gaps, and never believed when they are late."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from shared.runtime import buckets, topology
from shared.runtime.buckets import Bucket
from shared.runtime.log import BrokerUnavailable
from tests.controls.eventually import eventually

NAME = topology.TEMPLATES


@pytest.fixture
async def followed(client: Client) -> AsyncIterator[Bucket[str]]:
    bucket = Bucket(client, NAME, str)
    await bucket.open()
    yield bucket
    await bucket.close()


async def test_a_bucket_is_followed_through_more_than_the_broker_sends_without_a_reply(
    client: Client, followed: Bucket[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> int:
        return 0

    monkeypatch.setattr(followed, "_last_at_leader", never)  # nothing but the watch
    writer = Bucket(client, NAME, str)
    for number in range(0, 400, 20):
        await asyncio.gather(*(writer.put(f"acme.{n}", "x" * 100_000) for n in range(number, number + 20)))
    await eventually(lambda: len(followed.items()) == 400)


async def test_a_watch_that_is_late_is_noticed_read_past_and_caught_up_with(
    client: Client, followed: Bucket[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "_take", lambda entry: None)
    assert await eventually(lambda: not followed.is_behind())
    await Bucket(client, NAME, str).put("acme.1", "new")
    await eventually(followed.is_behind)
    assert followed.peek("acme.1") is None
    assert await followed.get("acme.1") == "new"
    await followed.catch_up()
    assert not followed.is_behind()


async def test_a_bucket_that_is_gone_is_behind_and_cannot_be_caught_up_with(
    client: Client, followed: Bucket[str]
) -> None:
    await client.jetstream().delete_stream(f"KV_{NAME}")
    await eventually(followed.is_behind, within=5 * buckets.COMPARE_EVERY)
    with pytest.raises(BrokerUnavailable, match=NAME):
        await followed.catch_up()
