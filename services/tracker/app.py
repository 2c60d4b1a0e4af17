"""Builds the tracker: the only place that constructs its parts.

The public paths come first: a recipient's link leads where it should also when the broker is not there, and what
was asked for then is in the journal.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import nats
import structlog
from aiohttp import web

from services.tracker import parts
from services.tracker.answering import HttpServer
from services.tracker.asking import Witness
from services.tracker.journal import Journal
from services.tracker.public import Public
from services.tracker.ranges import Ranges
from services.tracker.readiness import Readiness
from services.tracker.settings import Settings
from shared.runtime import keyring, outgoing, process, settings
from shared.runtime.log import BrokerUnavailable
from shared.runtime.tokens import Tokens

logger = structlog.get_logger(__name__)
GRACE: Final = 2.0
AGAIN_AFTER: Final = 1.0
_MACHINES = Path(__file__).with_name("machines.txt")


@asynccontextmanager
async def build() -> AsyncIterator[None]:
    """Run the tracker for the length of the block."""
    wanted = settings.read(Settings, os.environ)
    ring = keyring.load(Path(wanted.keyring))
    proxies = outgoing.parse_networks(wanted.trusted_proxies)
    witness = Witness(proxies, Ranges(Path(wanted.machine_networks or _MACHINES)), wanted.privacy)
    async with AsyncExitStack() as stack:
        journal = Journal(Path(wanted.journal))
        journal.leaves = True
        journal.start()
        stack.push_async_callback(journal.stop)
        told = Readiness(journal)
        await told.health.serve(wanted.health_host, wanted.health_port)
        stack.push_async_callback(told.health.stop)
        public = Public(Tokens(ring), journal, witness, told.pages())
        inner = await stack.enter_async_context(AsyncExitStack())  # closed after the public paths
        runner = web.ServerRunner(HttpServer(public.answer), shutdown_timeout=GRACE)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, wanted.tracker_host, wanted.tracker_port, backlog=1024).start()

        async def take() -> None:
            """Open the rest, again and again while the broker is not there."""
            while True:
                try:
                    async with AsyncExitStack() as attempt:
                        found = await parts.opened(wanted, ring, journal, attempt)
                        inner.push_async_exit(attempt.pop_all())
                except (BrokerUnavailable, nats.errors.Error) as error:
                    told.waiting_for = str(error) or repr(error)
                    logger.warning("broker_awaited", error=told.waiting_for)
                    await asyncio.sleep(AGAIN_AFTER)
                else:
                    public.desk = found.taker
                    told.opened(found)
                    return

        await stack.enter_async_context(process.background(asyncio.create_task(take())))
        yield
        told.health.stopping = True
