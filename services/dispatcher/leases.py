"""Connection leases: how many of an account's connections this dispatcher may open. They expire with it.

One bucket entry per account names every holder, its share and until when; whoever renews sees the
others. A dead holder's share is free again when its lease is over, and nobody has to notice the death.
Where there are fewer connections than dispatchers with mail, they take turns.
"""

import asyncio
import time
from typing import Protocol

import msgspec
import structlog

from shared.runtime import buckets
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
LEASE = 6.0
RENEW = 2.0
LOOK = 0.1
TURN = 0.5


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """One dispatcher's share of an account's connections, until a wall-clock time in seconds.

    `since` is when it got them; `asks` is since when it has had mail, 0 where it has none.
    """

    connections: int
    until: float
    since: float = 0.0
    asks: float = 0.0


class Leases(msgspec.Struct, frozen=True):
    """Everybody's share of one account."""

    holders: dict[str, Holder] = {}


def living(leases: Leases, now: float) -> dict[str, Holder]:
    """Return whose lease is not over. Pure."""
    # A lease that would outlast any is from a clock that has jumped since: it counts as over.
    return {name: holder for name, holder in leases.holders.items() if now < holder.until <= now + 2 * LEASE}


def share(leases: Leases, me: str, limit: int, now: float, asks: float = 0.0) -> tuple[int, Leases]:
    """Return my share of `limit` connections and the entry that says so. Pure.

    Everyone who renews takes what the living others leave, but never less than room for a fair part
    is asked of them: whoever holds more than a fair part shrinks to it at its own next renewal.
    Who has none leaves what is free to those who have asked for longer.
    """
    others = living(leases, now)
    before = others.pop(me, None)
    taken = sum(holder.connections for holder in others.values())
    fair = max(1, limit // (len(others) + 1))
    mine = max(0, min(limit - taken, limit if not others else fair))
    if before is None or not before.connections:
        first = [one for one in _starving(others) if not asks or one.asks < asks]
        mine = max(0, min(mine, limit - taken - len(first)))
    since = before.since if before and before.connections else now
    return mine, Leases({**others, me: Holder(mine, now + LEASE, since, asks)})


def gives_way(leases: Leases, me: str, limit: int, now: float) -> bool:
    """Say whether it is somebody else's turn to have my connections. Pure.

    Those without work give way first, then whoever has had them longest, and nobody within its turn.
    """
    alive = living(leases, now)
    mine = alive.get(me)
    if mine is None or not mine.connections or limit >= len(alive):
        return False
    if mine.asks and now - mine.since < TURN:
        return False
    free = limit - sum(holder.connections for holder in alive.values())
    holding = [name for name, holder in alive.items() if holder.connections]
    holding.sort(key=lambda name: (alive[name].asks > 0, alive[name].since, name))
    return me in holding[: max(0, len(_starving(alive)) - max(0, free))]


def _starving(holders: dict[str, Holder]) -> list[Holder]:
    return [holder for holder in holders.values() if holder.asks and not holder.connections]


class Client(Protocol):
    """Whose lease it is."""

    @property
    def connections(self) -> int:
        """How many connections there are for all dispatchers together."""

    @property
    def has_mail(self) -> bool:
        """Whether a share is wanted now."""

    @property
    def has_sessions(self) -> bool:
        """Whether any connection is still open."""

    def set_share(self, connections: int) -> None:
        """Use that many from now on."""


class Lease:
    """This dispatcher's lease on one account's connections, renewed while it is wanted."""

    def __init__(self, bucket: buckets.Bucket[Leases], key: str, me: str, client: Client) -> None:
        self._bucket, self._key, self._me, self._client = bucket, key, me, client
        self._until = 0.0
        self._asks = 0.0
        self._giving_way = False

    async def keep(self) -> None:
        """Hold the lease until cancelled; the share is zero while it could not be renewed in time."""
        while True:
            try:
                await self._renew()
                await self._wait()
            except BrokerUnavailable as error:
                logger.warning("lease_not_renewed", account=self._key, error=str(error))
                await self._wait_without()
            except (
                Exception
            ):  # an entry we cannot read: without a share nothing is sent, but it is tried again
                logger.exception("lease_failed", account=self._key)
                await self._wait_without()

    async def _wait(self) -> None:
        """Wait for the next renewal, which is due at once when others and we have something to tell each other."""
        for _ in range(round(RENEW / LOOK)):
            await asyncio.sleep(LOOK)
            if self._is_due():
                return

    def _is_due(self) -> bool:
        known, now = self._bucket.peek(self._key) or Leases(), time.time()
        if self._giving_way:
            return not self._client.has_sessions
        mine = known.holders.get(self._me)
        if mine is None or mine.connections or not self._client.has_mail:
            return gives_way(known, self._me, self._client.connections, now)
        return not mine.asks or share(known, self._me, self._client.connections, now, mine.asks)[0] > 0

    async def _wait_without(self) -> None:
        if time.time() > self._until:
            self._client.set_share(0)
        await asyncio.sleep(0.5)

    async def _renew(self) -> None:
        for _ in range(20):
            found = await self._bucket.read(self._key)
            revision, leases = found or (0, Leases())
            now = time.time()
            mine, entry = self._share(leases, now)
            try:
                await self._bucket.put(self._key, entry, revision=revision)
            except buckets.Changed:
                continue
            self._until = now + LEASE
            self._giving_way = self._giving_way and entry.holders[self._me].connections > 0
            self._client.set_share(mine)
            return
        raise BrokerUnavailable("lost too many races for the lease")

    def _share(self, leases: Leases, now: float) -> tuple[int, Leases]:
        """Return what may be used, and the entry; until the last session has ended, that says what we had."""
        self._asks = (self._asks or now) if self._client.has_mail else 0.0
        alive = living(leases, now)
        before = alive.get(self._me)
        if before is None:  # it was over: there is nothing left to give
            self._giving_way = False
        elif self._giving_way or gives_way(leases, self._me, self._client.connections, now):
            self._giving_way = True
            self._client.set_share(0)
            left = before.connections if self._client.has_sessions else 0
            self._asks = now if self._asks and not left else self._asks  # behind those who have waited
            holder = Holder(left, now + LEASE, before.since, self._asks)
            return 0, Leases({**alive, self._me: holder})
        return share(leases, self._me, self._client.connections, now, self._asks)

    async def release(self) -> None:
        """Give the share back at once."""
        try:
            found = await self._bucket.read(self._key)
            if found and self._me in found[1].holders:
                left = {name: holder for name, holder in found[1].holders.items() if name != self._me}
                await self._bucket.put(self._key, Leases(left), revision=found[0])
        except (BrokerUnavailable, buckets.Changed) as error:
            logger.info("lease_left_to_expire", account=self._key, error=str(error))
