"""What this scheduler knows of the accounts without asking: their limits, and what they get done."""

import asyncio
from typing import Final

from services.scheduler.row import Lane
from shared.runtime import configuration
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account
from shared.runtime.rate import Rate

KEPT_AT_MOST: Final = 10_000


class Flow:
    """Accounts as configured, and the attempts of each that ended within the last second."""

    def __init__(self, accounts: Bucket[Account]) -> None:
        self._accounts = accounts
        self._finished: dict[Lane, Rate] = {}

    def account(self, lane: Lane) -> Account | None:
        """Return the account as memory has it; one that is unknown still has its mail released."""
        return self._accounts.peek(configuration.account_key(*lane))

    def ended(self, lane: Lane, count: int) -> None:
        """Count attempts that ended."""
        now = asyncio.get_running_loop().time()
        if lane not in self._finished and len(self._finished) >= KEPT_AT_MOST:
            self._finished = {
                known: finished for known, finished in self._finished.items() if finished.per_second(now)
            }
        self._finished.setdefault(lane, Rate()).add(count, now)

    def finished(self, lane: Lane) -> int:
        """Return how many attempts of the account ended within the last second."""
        found = self._finished.get(lane)
        return found.per_second(asyncio.get_running_loop().time()) if found else 0
