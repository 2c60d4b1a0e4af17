"""How much of all messages in transmission this process holds in memory at once, however many and large they are.

Small messages and large ones have a share each: no small one ever waits for what large ones hold. Of the large
ones' share an account has a part and no more, or one next hop that takes nothing would hold up everybody's.
Whoever waits longest is next, so that the largest is not put off for ever.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from shared.events.email import Email

SMALL: Final = 256 * 1024
SHARE: Final = 32 * 1024 * 1024  # of each: 64 MiB together
OF_AN_ACCOUNT: Final = SHARE // 4
# What one file on its way takes: a piece from the store, its base64, and what the kernel has not taken yet.
_STREAM: Final = 512 * 1024
_ENVELOPE: Final = 4 * 1024
_COPIES: Final = 3  # of a body: as text, composed, stuffed


def cost(email: Email) -> int:
    """Return about how many bytes sending this email holds."""
    bodies = _COPIES * email.body.size if email.body else 0
    return _ENVELOPE + bodies + (_STREAM if email.attachments else 0)


class Share:
    """So many bytes, given away first come first served. What is larger than all of it gets in alone."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        """How many bytes are given away."""
        return self._used

    async def take(self, size: int) -> None:
        """Wait for room."""
        if not self._waiting and self._fits(size):
            self._used += size
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, place))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._used -= size
            self._hand_out()  # also when it never got in: whoever stood behind it may fit
            raise

    def give_back(self, size: int) -> None:
        """Free what was taken."""
        self._used -= size
        self._hand_out()

    def _fits(self, size: int) -> bool:
        return self._used + size <= self._total or self._used == 0

    def _hand_out(self) -> None:
        while self._waiting:
            size, place = self._waiting[0]
            if not place.done():
                if not self._fits(size):
                    return
                self._used += size
                place.set_result(None)
            self._waiting.popleft()


class Budget:
    """The memory of all transmissions of a process."""

    def __init__(self, share: int = SHARE) -> None:
        self._small, self._large = Share(share), Share(share)

    @asynccontextmanager
    async def room(self, email: Email, of_account: Share) -> AsyncGenerator[None, None]:
        """Have room for sending this email for the length of the block; waits for it.

        `of_account` is the part of the large ones' share that its account may have.
        """
        size = cost(email)
        shares = (self._small,) if size <= SMALL else (of_account, self._large)
        taken: list[Share] = []
        try:
            for share in shares:
                await share.take(size)
                taken.append(share)
            yield
        finally:
            for share in taken:
                share.give_back(size)
