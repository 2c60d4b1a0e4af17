"""How far each linked mailbox is read, and which tracker reads it: one bucket entry says both.

Written only by who holds the entry, guarded by its revision, so that a tracker that was taken for dead cannot move
the place any more. A place is written after what it stands for is in the log: what was read and not written is read
again, and its events are the same.
"""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.tracker.imap import Seen
from shared.runtime import buckets
from shared.runtime.buckets import Bucket
from shared.runtime.log import BrokerUnavailable

LEASE: Final = 15.0
RENEW: Final = 5.0
MARGIN: Final = timedelta(days=2)  # arrival times are local, and some clocks are wrong


class Lost(Exception):
    """Another tracker has the mailbox, or nobody is sure any more that we do."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Everything up to `uid` is read; `origin` and `validity` say which mailbox the number is of.

    `newest` is when the newest message that was read arrived. What arrived before `since` is not read: a mailbox
    that was numbered anew holds what was read before. `until` is a wall-clock time in seconds.
    """

    origin: str = ""
    validity: int = 0
    uid: int = 0
    newest: datetime | None = None
    since: datetime | None = None
    holder: str = ""
    until: float = 0.0


def begun(place: Place, origin: str, seen: Seen, now: datetime) -> Place:
    """Return where to go on in a mailbox as it is seen now. Pure.

    At first sight everything in it is older than the link and none of our business.
    """
    if place.origin != origin:
        return msgspec.structs.replace(
            place, origin=origin, validity=seen.validity, uid=seen.next_uid - 1, newest=now, since=None
        )
    # Numbers that run backwards are numbers that were given anew, whatever UIDVALIDITY says.
    if place.validity != seen.validity or place.uid >= seen.next_uid:
        since = place.newest - MARGIN if place.newest else None
        return msgspec.structs.replace(place, validity=seen.validity, uid=0, since=since)
    return place


def is_free(place: Place, me: str, now: float) -> bool:
    """Say whether nobody else holds the mailbox; a lease that would outlast any is of a clock that has jumped."""
    return place.holder in ("", me) or not now < place.until <= now + 2 * LEASE


class Holding:
    """Our hold on one mailbox's place."""

    def __init__(self, bucket: Bucket[Place], key: str, me: str) -> None:
        self._bucket, self._key, self._me = bucket, key, me
        self._revision = 0
        self._until = 0.0
        self._turn = asyncio.Lock()
        self.place = Place()

    async def take(self) -> bool:
        """Take the mailbox unless another tracker reads it. Raises: BrokerUnavailable."""
        found = await self._bucket.read(self._key)
        revision, place = found or (None, Place())
        now = time.time()
        if not is_free(place, self._me, now):
            return False
        mine = msgspec.structs.replace(place, holder=self._me, until=now + LEASE)
        try:
            if revision is None:
                self._revision = await self._bucket.create(self._key, mine)
            else:
                self._revision = await self._bucket.put(self._key, mine, revision=revision)
        except buckets.Changed:
            return False
        self.place, self._until = mine, mine.until
        return True

    async def keep(self) -> None:
        """Renew the hold until cancelled. Raises: Lost."""
        while True:
            await asyncio.sleep(RENEW)
            try:
                await self.write()
            except BrokerUnavailable as error:
                if time.time() > self._until - RENEW:
                    raise Lost("the broker did not take the renewal in time") from error

    async def write(self, place: Place | None = None) -> None:
        """Write the place, or as it is, and renew the hold. Raises: Lost, BrokerUnavailable."""
        async with self._turn:
            until = time.time() + LEASE
            mine = msgspec.structs.replace(place or self.place, holder=self._me, until=until)
            try:
                self._revision = await self._bucket.put(self._key, mine, revision=self._revision)
            except buckets.Changed:
                await self._again(mine)
            self.place, self._until = mine, mine.until

    async def release(self) -> None:
        """Let another tracker have it at once. Raises: Lost, BrokerUnavailable."""
        async with self._turn:
            free = msgspec.structs.replace(self.place, holder="", until=0.0)
            try:
                await self._bucket.put(self._key, free, revision=self._revision)
            except buckets.Changed as error:
                raise Lost(self._key) from error

    async def _again(self, mine: Place) -> None:
        """Write once more if only the answer to an earlier write of ours was lost."""
        found = await self._bucket.read(self._key)
        if found is None or found[1].holder != self._me:
            raise Lost(f"another tracker reads {self._key}, or it is unlinked")
        try:
            self._revision = await self._bucket.put(self._key, mine, revision=found[0])
        except buckets.Changed as error:
            raise Lost(self._key) from error
