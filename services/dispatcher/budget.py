"""How much of all messages in transmission this process holds in memory at once, however many and large they are.

Small messages and large ones have a share each: no small one ever waits for what large ones hold. Of each share
an account has a part and no more, or one next hop that takes nothing would hold up everybody's. The least of all
are not counted: they hold little more than the record in hand, and nobody should wait for that.
Whoever waits longest is next, so that the largest is not put off for ever.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from shared.events.email import Email

LEAST: Final = 64 * 1024
SMALL: Final = 256 * 1024
SHARE: Final = 32 * 1024 * 1024  # of each: 64 MiB together
OF_AN_ACCOUNT: Final = SHARE // 6  # so that an account's ten connections, the default, all stream at once
# What one file on its way takes: a piece from the store, its base64, and what the kernel has not taken yet.
_STREAM: Final = 512 * 1024
_OF_ITS_SIZE: Final = 1.4
_ENVELOPE: Final = 4 * 1024
_COPIES: Final = 3  # of a body: as text, composed, stuffed


def cost(email: Email) -> int:
    """Return about how many bytes sending this email holds."""
    bodies = _COPIES * email.body.size if email.body else 0
    return _ENVELOPE + bodies + streaming(email)


def streaming(email: Email) -> int:
    """Return how much of the cost is for its files on their way, up to the final dot."""
    return min(_STREAM, int(_OF_ITS_SIZE * sum(file.size for file in email.attachments)))


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


class Part:
    """What one account may have of each share."""

    def __init__(self, of_each: int = OF_AN_ACCOUNT) -> None:
        self.small, self.large = Share(of_each), Share(of_each)


class Budget:
    """The memory of all transmissions of a process."""

    def __init__(self, share: int = SHARE) -> None:
        self._small, self._large = Share(share), Share(share)

    @asynccontextmanager
    async def room(self, email: Email, part: Part) -> AsyncGenerator[Callable[[], None], None]:
        """Have room for sending this email for the length of the block; waits for it.

        What it yields is to be called once the files have been read: their room is free again, however long
        the next hop thinks about its answer.
        """
        size, stream = cost(email), streaming(email)
        taken: dict[Share, int] = {}

        def have_been_read() -> None:
            nonlocal stream
            read, stream = stream, 0
            for share in taken:
                taken[share] -= read
                share.give_back(read)

        try:
            for share in self._shares(size, part):
                await share.take(size)
                taken[share] = size
            yield have_been_read
        finally:
            for share, left in taken.items():
                share.give_back(left)

    def _shares(self, size: int, part: Part) -> tuple[Share, ...]:
        if size <= LEAST:
            return ()
        return (part.small, self._small) if size <= SMALL else (part.large, self._large)
