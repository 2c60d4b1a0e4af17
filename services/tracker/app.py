"""Builds the tracker: the only place that constructs its parts."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from services.tracker import ingress, machine
from services.tracker.addressing import Finder
from services.tracker.archive import Archive
from services.tracker.inbound import Inbound
from services.tracker.journal import Journal
from services.tracker.ours import Ours
from services.tracker.public import Public
from services.tracker.settings import Settings
from services.tracker.taking import Taker
from shared.runtime import health, keyring, log, outgoing, postgres, settings, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Workspace
from shared.runtime.content import ContentStore
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions
from shared.runtime.tokens import Tokens

GRACE = 10.0
CONNECTIONS = 4
_MACHINES = Path(__file__).with_name("machines.txt")


@asynccontextmanager
async def build() -> AsyncIterator[None]:
    """Run the tracker for the length of the block."""
    wanted = settings.read(Settings, os.environ)
    ring = keyring.load(Path(wanted.keyring))
    async with AsyncExitStack() as stack:
        client = await log.connect(wanted.nats_url, "tracker")
        stack.push_async_callback(client.close)
        emails = log.Log(client)
        await emails.open()
        publisher = Publisher(emails)
        publisher.start()
        stack.push_async_callback(publisher.stop)
        accounts, workspaces = (
            Bucket(client, topology.ACCOUNTS, Account),
            Bucket(client, topology.WORKSPACES, Workspace),
        )
        for bucket in (accounts, workspaces):
            await bucket.open()
            stack.push_async_callback(bucket.close)
        suppressions = Suppressions(client, ring)
        await suppressions.open()
        pool = await postgres.connect(wanted.database_url, size=CONNECTIONS, lazy=True)
        stack.callback(pool.terminate)
        tokens, archive, journal = Tokens(ring), Archive(pool), Journal(Path(wanted.journal))
        left_over = journal.left_over()
        journal.start()
        stack.push_async_callback(journal.stop)
        networks = machine.networks(Path(wanted.machine_networks or _MACHINES))
        taker = Taker(emails, publisher, suppressions, archive, journal, networks, wanted.privacy)
        taker.start()
        stack.push_async_callback(taker.stop, GRACE)
        for hit in left_over:
            taker.take(hit)
        told = health.Health()
        told.add("broker", health.broker_check(emails, publisher), vital=False)  # hits are taken without it
        await told.serve(wanted.health_host, wanted.health_port)
        stack.push_async_callback(told.stop)
        finder = Finder(tokens, workspaces.items)
        inbound = Inbound(emails, publisher, suppressions, ContentStore(wanted.content_url), finder, archive)
        mail = await ingress.serve(
            ingress.Handler(inbound, Ours(accounts.items).has),
            wanted.ingress_host,
            wanted.ingress_port,
            wanted.ingress_protocol,
        )
        stack.callback(mail.close)
        pages = {path: told.page(path) for path in ("/livez", "/readyz")}
        public = Public(tokens, journal, taker, outgoing.parse_networks(wanted.trusted_proxies), pages)
        runner = web.ServerRunner(web.Server(public.answer, access_log=None), shutdown_timeout=GRACE)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, wanted.tracker_host, wanted.tracker_port, backlog=1024).start()
        yield
        told.stopping = True
