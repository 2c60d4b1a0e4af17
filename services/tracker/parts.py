"""The tracker's parts that need the broker, opened in order; `app.py` decides what is answered without them."""

import asyncio
import uuid
from contextlib import AsyncExitStack, suppress
from typing import Final, NamedTuple

from nats.aio.client import Client

from services.tracker import imap_verifying, ingress
from services.tracker.addressing import Finder
from services.tracker.archive import Archive
from services.tracker.imap_linking import Linker
from services.tracker.imap_places import Place
from services.tracker.imap_reading import AT_ONCE, Shared
from services.tracker.inbound import Inbound
from services.tracker.journal import Journal
from services.tracker.ours import Ours
from services.tracker.remembering import Emails
from services.tracker.settings import Settings
from services.tracker.taking import Taker
from shared.runtime import log, outgoing, postgres, process, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Workspace
from shared.runtime.content import ContentStore
from shared.runtime.keyring import Keyring
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions
from shared.runtime.tokens import Tokens

TAKEN_WITHIN: Final = 5.0
CONNECTIONS: Final = 4


class Parts(NamedTuple):
    """What was opened."""

    log: log.Log
    publisher: Publisher
    taker: Taker


async def opened(wanted: Settings, ring: Keyring, journal: Journal, stack: AsyncExitStack) -> Parts:
    """Open everything; the stack closes it. Raises: BrokerUnavailable, KeyringError, OSError."""
    client = await log.connect(wanted.nats_url, "tracker")
    stack.push_async_callback(_close, client)
    emails = log.Log(client)
    await emails.open()
    publisher = Publisher(emails)
    publisher.start()
    stack.push_async_callback(publisher.stop)
    accounts = Bucket(client, topology.ACCOUNTS, Account)
    workspaces = Bucket(client, topology.WORKSPACES, Workspace)
    places = Bucket(client, topology.IMAP_PLACES, Place)
    for bucket in (accounts, workspaces, places):
        await bucket.open()
        stack.push_async_callback(bucket.close)
    suppressions = Suppressions(client, ring)
    await suppressions.open()
    pool = await postgres.connect(wanted.database_url, size=CONNECTIONS, lazy=True)
    stack.callback(pool.terminate)
    archive = Archive(pool)
    taker = Taker(Emails(emails, archive), publisher, suppressions, journal)
    taker.start()
    stack.push_async_callback(taker.stop, TAKEN_WITHIN)
    finder = Finder(Tokens(ring), workspaces.items)
    inbound = Inbound(emails, publisher, suppressions, ContentStore(wanted.content_url), finder, archive)
    ours = Ours(accounts.items)
    handler = ingress.Handler(inbound, lambda text: ours.has(text) or finder.is_signed(text))
    mail = await ingress.serve(handler, wanted.ingress_host, wanted.ingress_port, wanted.ingress_protocol)
    stack.callback(mail.close)
    allowed = outgoing.parse_networks(wanted.allow_networks)
    linker = Linker(
        accounts, places, ring, uuid.uuid4().hex, Shared(inbound, allowed, asyncio.Semaphore(AT_ONCE))
    )
    await stack.enter_async_context(process.background(asyncio.create_task(linker.run(), name="imap")))
    await imap_verifying.answer(client, accounts, ring, allowed)
    return Parts(emails, publisher, taker)


async def _close(client: Client) -> None:
    with suppress(RuntimeError):  # what waits to be written meets a transport that went with the broker
        await client.close()
