"""The broker as a few commands see it: a connection, and whose key this is.

Whoever can reach the broker can read everything in it; the key is looked up all the same, for it says which
workspace a person means.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import nats

from cli.environment import Environment
from cli.failure import FORBIDDEN, UNAVAILABLE, Failure
from shared.runtime import configuration, log, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import ApiKey
from shared.runtime.telemetry import without_credentials

if TYPE_CHECKING:
    from nats.aio.client import Client

WITHIN = 5.0


async def _quiet(_error: Exception) -> None:
    """Say nothing: what matters is raised where it is waited for."""


async def connect(url: str) -> "Client":
    """Return a connection that comes back by itself once it was there. Raises: Failure."""
    try:
        async with asyncio.timeout(WITHIN):
            client = await nats.connect(
                url,
                name="sendlog-cli",
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.5,
                connect_timeout=2,
                error_cb=_quiet,
            )
    except (TimeoutError, nats.errors.Error, OSError) as error:
        raise Failure(f"no broker answers at {without_credentials(url)}", UNAVAILABLE) from error
    log.parse_headers_fast(client)
    return client


@asynccontextmanager
async def connected(environment: Environment, what: str) -> AsyncIterator["Client"]:
    """Connect for the length of a block; `what` is the command that needs it. Raises: Failure."""
    client = await connect(environment.needed("SENDLOG_NATS_URL", what))
    try:
        yield client
    except log.BrokerUnavailable as error:
        raise Failure(f"the broker does not answer: {error}", UNAVAILABLE) from error
    except nats.js.errors.Error as error:
        raise Failure(f"the broker refuses: {error}", UNAVAILABLE) from error
    finally:
        await client.close()


async def workspace(client: "Client", token: str) -> str:
    """Return the workspace a key belongs to. Raises: Failure, BrokerUnavailable."""
    found = await Bucket(client, topology.KEYS, ApiKey).read(configuration.hash_token(token))
    if found is None or (found[1].expires_at is not None and found[1].expires_at <= datetime.now(UTC)):
        raise Failure("the API key is unknown, expired or revoked", FORBIDDEN)
    if "events.read" not in found[1].permissions:
        raise Failure("the API key lacks the permission events.read", FORBIDDEN)
    return found[1].workspace
