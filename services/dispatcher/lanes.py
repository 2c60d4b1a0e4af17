"""A lane is one account in one dispatcher: its sessions, its breaker, its limits, and how much it may hold.

It holds what its SMTP slots and a short queue need, or what it gets done in a few seconds, and no more, so that
an account with a million waiting, or a relay that answers in 30 s, never fills the window all accounts share.
"""

import asyncio
import contextlib
import math
import time
from datetime import UTC, datetime
from typing import Final

from services.dispatcher import budget, limits
from services.dispatcher.breaker import FIRST_PAUSE, Breaker
from services.dispatcher.gate import Gate
from services.dispatcher.leases import Lease
from services.dispatcher.pool import Pool
from shared.runtime import topology
from shared.runtime.configuration import Account
from shared.runtime.rate import Rate

QUEUE_PER_CONNECTION: Final = 4
QUEUE_SECONDS: Final = 8
IDLE_AFTER: Final = 30.0


class Lane:
    """What one dispatcher holds of one account.

    `held` counts the records in hand, `unasked` those among them that nobody released: single sends, which never
    stand behind what their account's batches have in hand.
    """

    def __init__(self, account: Account | None, pool: Pool, limiter: limits.Limiter) -> None:
        self.account = account
        self.pool = pool
        self.limiter = limiter
        self.breaker = Breaker()
        self._gate = Gate(1)
        self.memory = budget.Part()
        self.held = 0
        self.unasked = 0
        self.used_at = time.monotonic()
        self.last_error = ""
        self.secret_readable = True
        self.share = 0
        self._shared = asyncio.Event()
        self.lease: Lease | None = None
        self.lease_task: asyncio.Task[None] | None = None
        self._rate = Rate()

    @property
    def connections(self) -> int:
        """Return how many connections the account allows to all dispatchers together."""
        return self.account.limits.connections if self.account else 1

    @property
    def has_mail(self) -> bool:
        """Whether there is a record in hand."""
        return self.held > 0

    @property
    def has_sessions(self) -> bool:
        """Whether a session is open, or still being closed."""
        return self.pool.has_sessions

    def set_share(self, connections: int) -> None:
        """Use that many of the account's connections from now on."""
        self.share = connections
        self.pool.set_limit(connections)
        self._gate.set_limit(self.may_claim())
        if connections:
            self._shared.set()
        else:
            self._shared.clear()

    async def enter(self, *, bulk: bool) -> None:
        """Wait until one more may be claimed."""
        self._gate.set_limit(self.may_claim())
        await self._gate.enter(bulk=bulk)

    def leave(self) -> None:
        """Be done with what `enter` let in."""
        self._gate.set_limit(self.may_claim())
        self._gate.leave()

    async def until_shared(self, deadline: datetime) -> None:
        """Wait for a share of the connections, at most until that time has come: others may hold them all.

        Dispatchers take turns, so it comes. What waits is no claim yet, and in nobody's way.
        """
        # Again and again: a timer is not the clock that says what is over, and may be a moment before it.
        while not self.share and (left := (deadline - datetime.now(UTC)).total_seconds()) > 0:
            with contextlib.suppress(TimeoutError):  # not wait_for: it swallows cancellations on Python 3.11
                async with asyncio.timeout(left):
                    await self._shared.wait()

    def finished(self) -> None:
        """Count one email that is done with, for the length of the queue that follows."""
        self._rate.add(1, time.monotonic())

    def may_hold(self, left: int) -> int:
        """Return how many records this lane may hold unasked: slots and a queue of a few seconds.

        `left` is how much of the window that all accounts share is free as far as this dispatcher knows: there is
        always some for the next account, however many are slow. A quick one gets half of it, for what it holds is
        soon free again, and what it may not hold costs two records and a row more each. What other dispatchers hold
        is not seen here; by the account's connections that they have it is left to them.
        """
        short = min(QUEUE_PER_CONNECTION * (self.share or self.connections), left // 8)
        share = min(self.share, self.connections)  # above it until a lowered limit has reached the lease
        theirs = topology.DISPATCHER.in_flight * (self.connections - share) // self.connections
        quick = QUEUE_SECONDS * self._rate.per_second(time.monotonic())
        allowed = max(1, short, min(quick, (left - theirs) // 2))
        step = self.account.limits.interval if self.account else 0.0
        return min(allowed, max(2, math.ceil(limits.WAIT_AT_MOST / step))) if step else allowed

    def may_claim(self) -> int:
        """Return how many may be claimed at once: those in transmission and the next half second's.

        Where the next hop is slow that is no more than have a session: a claim does not wait for one.
        """
        return max(1, self.share) + self._rate.per_second(time.monotonic()) // 2

    def leave_alone(self, now: float) -> float:
        """Return for how many seconds nothing should be tried after a fault of the account's own."""
        return max(FIRST_PAUSE, self.breaker.retry_at - now)

    def is_idle(self, now: float) -> bool:
        """Say whether nothing happened here for a while."""
        return self.held == 0 and now - self.used_at > IDLE_AFTER
