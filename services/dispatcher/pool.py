"""The sessions of one account in one dispatcher: as many as its lease allows, reused newest first.

Whoever waits longest gets the next free place; a session that saw anything odd is closed, never reused.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.dispatcher.opening import Server
from services.dispatcher.smtp import Session
from services.dispatcher.transaction import Timeouts
from shared.runtime import outgoing

CHECK_AFTER: Final = 5.0
IDLE_FOR: Final = 15.0
TRANSACTIONS: Final = 1000


class Pool:
    """Leases sessions; `limit` is how many may be open at once and can change at any time."""

    def __init__(
        self,
        server: Server,
        limit: int,
        *,
        allowed: outgoing.Networks = (),
        timeouts: Timeouts | None = None,
    ) -> None:
        self._server, self._limit, self._allowed = server, limit, allowed
        self._timeouts = timeouts or Timeouts()
        self._idle: list[Session] = []
        self._out = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._generation = 0
        self._sweeper: asyncio.Task[None] | None = None

    def set_limit(self, limit: int) -> None:
        """Allow that many sessions from now on; those above it are closed as they come back."""
        self._limit = limit
        self._hand_out()

    def reconfigure(self, server: Server) -> None:
        """Use another server from now on; sessions with the old one are closed as they come back."""
        self._server = server
        self._generation += 1
        idle, self._idle = self._idle, []
        for session in idle:
            self._close_later(session)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Lease a session for the length of the block. Raises: SmtpError when none can be opened."""
        await self._place()
        generation = self._generation
        session: Session | None = None
        try:
            session = await self._reusable() or await Session.open(
                self._server, allowed=self._allowed, timeouts=self._timeouts
            )
            yield session
        finally:
            self._out -= 1
            if session is not None:
                self._take_back(session, generation)
            self._hand_out()

    async def close(self) -> None:
        """Close what is idle; leased ones are closed as they come back."""
        self._generation += 1
        if self._sweeper:
            self._sweeper.cancel()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(session.close() for session in idle), return_exceptions=True)

    async def _place(self) -> None:
        if self._out < self._limit and not self._waiting:
            self._out += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._out -= 1
                self._hand_out()
            raise

    def _hand_out(self) -> None:
        while self._waiting and self._out < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._out += 1
                place.set_result(None)

    async def _reusable(self) -> Session | None:
        while self._idle:
            session = self._idle.pop()
            if not session.usable:
                continue
            idle = asyncio.get_running_loop().time() - session.idle_since
            if idle < CHECK_AFTER or await session.check():
                return session
        return None

    def _take_back(self, session: Session, generation: int) -> None:
        keep = session.usable and generation == self._generation
        if keep and session.transactions < TRANSACTIONS and self._out + len(self._idle) < self._limit:
            self._idle.append(session)
            if self._sweeper is None or self._sweeper.done():
                self._sweeper = asyncio.create_task(self._sweep(), name="idle-sessions")
        else:
            self._close_later(session)

    def _close_later(self, session: Session) -> None:
        task = asyncio.create_task(session.close())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def _sweep(self) -> None:
        while self._idle:
            await asyncio.sleep(IDLE_FOR / 3)
            now = asyncio.get_running_loop().time()
            for session in [s for s in self._idle if now - s.idle_since > IDLE_FOR]:
                self._idle.remove(session)
                self._close_later(session)


_closing: set[asyncio.Task[None]] = set()
