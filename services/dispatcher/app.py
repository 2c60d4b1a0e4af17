"""Builds the dispatcher: the only place that constructs its parts."""

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from services.dispatcher import consumers, leases, limits, verification
from services.dispatcher.handlers import Handlers
from services.dispatcher.house import House
from services.dispatcher.settings import Settings
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from shared.runtime import consumer, keyring, log, outgoing, process, settings, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account
from shared.runtime.content import ContentStore
from shared.runtime.health import Health, broker_check
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions

GRACE = 25.0
T = TypeVar("T")


@asynccontextmanager
async def build() -> AsyncIterator[None]:
    """Run the dispatcher for the length of the block."""
    wanted = settings.read(Settings, os.environ)
    ring = keyring.load(Path(wanted.keyring))
    client = await log.connect(wanted.nats_url, "dispatcher")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        emails = log.Log(client)
        await emails.open()
        # With a longer one a few hundred emails a second fill a batch each time, so that lingering never ends.
        publisher = Publisher(emails, linger=0.01)
        publisher.start()
        stack.push_async_callback(publisher.stop)
        accounts = await _followed(stack, Bucket(client, topology.ACCOUNTS, Account))
        shares = await _followed(stack, Bucket(client, topology.LEASES, leases.Leases))
        allowed = outgoing.parse_networks(wanted.allow_networks)
        house = House(
            uuid.uuid4().hex[:12],
            accounts,
            shares,
            Bucket(client, topology.LIMITS, limits.Ledger),
            ring,
            allowed,
            wanted.helo or socket.getfqdn(),
        )
        stack.push_async_callback(house.close)
        lists = Suppressions(client, ring)
        await lists.open()
        handlers = Handlers(
            house, Voice(emails, publisher), ContentStore(wanted.content_url), Suppressing(lists)
        )
        broker = consumer.make_broker(wanted.nats_url, "dispatcher")
        records = consumers.build(emails, broker, handlers, publisher)
        records.start()
        stack.push_async_callback(consumer.stop_broker, broker)
        await consumer.start_broker(broker)
        stack.push_async_callback(records.stop)
        stack.push_async_callback(handlers.stop, GRACE)
        stack.callback(records.pause)
        await verification.answer(client, house, accounts, allowed)
        sweeper = asyncio.create_task(house.sweep_for_ever(), name="sweep")
        await stack.enter_async_context(process.background(sweeper))
        health = Health()
        health.add("broker", broker_check(emails, publisher))
        await health.serve(wanted.health_host, wanted.health_port)
        stack.push_async_callback(health.stop)
        yield
        health.stopping = True


async def _followed(stack: AsyncExitStack, bucket: Bucket[T]) -> Bucket[T]:
    """Return the bucket with its changes seen as they happen, until the stack is left."""
    await bucket.open()
    stack.push_async_callback(bucket.close)
    return bucket
