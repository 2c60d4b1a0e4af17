"""Connection leases: how many of an account's connections this dispatcher may open. They expire with it.

One bucket entry per account names every holder, its share and until when; whoever renews sees the
others. A dead holder's share is free again when its lease is over, and nobody has to notice the death.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog

from shared.runtime import buckets
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
LEASE = 6.0
RENEW = 2.0


class Holder(msgspec.Struct, frozen=True):
    """One dispatcher's share of an account's connections, until a wall-clock time in seconds."""

    connections: int
    until: float


class Leases(msgspec.Struct, frozen=True):
    """Everybody's share of one account."""

    holders: dict[str, Holder] = {}


def share(leases: Leases, me: str, limit: int, now: float) -> tuple[int, Leases]:
    """Return my share of `limit` connections and the entry that says so. Pure.

    Everyone who renews takes what the living others leave, but never less than room for a fair part
    is asked of them: whoever holds more than a fair part shrinks to it at its own next renewal.
    """
    # A lease that would outlast any is from a clock that has jumped since: it counts as over.
    others = {
        name: holder
        for name, holder in leases.holders.items()
        if name != me and now < holder.until <= now + 2 * LEASE
    }
    taken = sum(holder.connections for holder in others.values())
    fair = max(1, limit // (len(others) + 1))
    mine = max(0, min(limit - taken, limit if not others else fair))
    return mine, Leases({**others, me: Holder(mine, now + LEASE)})


class Lease:
    """This dispatcher's lease on one account's connections, renewed while it is wanted."""

    def __init__(
        self,
        bucket: buckets.Bucket[Leases],
        key: str,
        me: str,
        limit: Callable[[], int],
        on_change: Callable[[int], None],
    ) -> None:
        self._bucket, self._key, self._me = bucket, key, me
        self._limit, self._on_change = limit, on_change
        self._until = 0.0

    async def keep(self) -> None:
        """Hold the lease until cancelled; the share is zero while it could not be renewed in time."""
        while True:
            try:
                await self._renew()
                await asyncio.sleep(RENEW)
            except BrokerUnavailable as error:
                logger.warning("lease_not_renewed", account=self._key, error=str(error))
                await self._wait_without()
            except (
                Exception
            ):  # an entry we cannot read: without a share nothing is sent, but it is tried again
                logger.exception("lease_failed", account=self._key)
                await self._wait_without()

    async def _wait_without(self) -> None:
        if time.time() > self._until:
            self._on_change(0)
        await asyncio.sleep(0.5)

    async def _renew(self) -> None:
        for _ in range(20):
            found = await self._bucket.read(self._key)
            revision, leases = found or (0, Leases())
            now = time.time()
            mine, entry = share(leases, self._me, self._limit(), now)
            try:
                await self._bucket.put(self._key, entry, revision=revision)
            except buckets.Changed:
                continue
            self._until = now + LEASE
            self._on_change(mine)
            return
        raise BrokerUnavailable("lost too many races for the lease")

    async def release(self) -> None:
        """Give the share back at once."""
        try:
            found = await self._bucket.read(self._key)
            if found and self._me in found[1].holders:
                left = {name: holder for name, holder in found[1].holders.items() if name != self._me}
                await self._bucket.put(self._key, Leases(left), revision=found[0])
        except (BrokerUnavailable, buckets.Changed) as error:
            logger.info("lease_left_to_expire", account=self._key, error=str(error))
