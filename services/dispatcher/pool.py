"""The sessions of one account in one dispatcher: as many as its lease allows, reused newest first.

A single send gets the next free place before bulk, then whoever waits longest. A session that saw anything odd,
that is worn, or whose account has changed since, is closed when it comes back and never reused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.dispatcher.gate import Gate
from services.dispatcher.opening import Server
from services.dispatcher.outcome import SmtpError
from services.dispatcher.smtp import Session
from services.dispatcher.timeouts import Timeouts
from shared.events import delivery
from shared.runtime import outgoing

CHECK_AFTER: Final = 5.0
IDLE_FOR: Final = 15.0
TRANSACTIONS: Final = 100
PLACE_WITHIN: Final = 30.0


class Pool:
    """Leases sessions; `limit` is how many may be open at once and can change at any time.

    Times are in seconds: an idle session is asked whether it still lives after `check_after`, and closed
    after `idle_for`. `transactions` is how many one session carries before it is replaced. Whoever waits for
    a place is turned away after `place_within`: the limit may have gone to nothing, and for good.
    """

    def __init__(
        self,
        server: Server,
        limit: int,
        *,
        allowed: outgoing.Networks = (),
        timeouts: Timeouts | None = None,
        transactions: int = TRANSACTIONS,
        check_after: float = CHECK_AFTER,
        idle_for: float = IDLE_FOR,
        place_within: float = PLACE_WITHIN,
    ) -> None:
        self._server, self._limit, self._allowed = server, limit, allowed
        self._timeouts = timeouts or Timeouts()
        self._transactions, self._check_after, self._idle_for = transactions, check_after, idle_for
        self._place_within = place_within
        self._idle: list[Session] = []  # the longest idle first
        self._places = Gate(limit)
        self._held = 0  # sessions leased or being opened
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open(self) -> int:
        """How many sessions there are, those being opened included."""
        return self._held + len(self._idle)

    @property
    def has_sessions(self) -> bool:
        """Whether there are any, those being closed included: the next hop may still count them."""
        return self.open > 0 or bool(self._closing)

    @property
    def closed(self) -> bool:
        """Whether it gives no more sessions away."""
        return self._closed

    def set_limit(self, limit: int) -> None:
        """Allow that many sessions from now on; leased ones above it are closed as they come back."""
        self._limit = limit
        while self._idle and self.open > limit:
            self._close_later(self._idle.pop(0))
        self._places.set_limit(limit)

    def reconfigure(self, server: Server) -> None:
        """Use another server from now on; sessions with the old one are closed as they come back."""
        if server == self._server:
            return
        self._server = server
        self._close_idle()

    @asynccontextmanager
    async def session(self, *, bulk: bool = False, fresh: bool = False) -> AsyncIterator[Session]:
        """Lease a session for the length of the block; a `fresh` one has carried nothing yet.

        Raises: SmtpError when none can be opened, of kind `no_session` when the pool is closed
        or has no place within `place_within`.
        """
        await self._place(bulk)
        session: Session | None = None
        self._held += 1
        try:
            session = None if fresh else await self._reusable()
            session = session or await self._fresh()
            yield session
        finally:
            self._held -= 1
            if session is not None:
                self._take_back(session)
            self._places.leave()

    async def close(self) -> None:
        """Close what is idle and turn away who waits; leased sessions are closed as they come back."""
        self._closed = True
        self._places.turn_away(self._gone)
        self._close_idle()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _place(self, bulk: bool) -> None:
        if self._closed:
            raise self._gone()
        try:
            async with asyncio.timeout(self._place_within):
                await self._places.enter(bulk=bulk)
        except TimeoutError:
            raise self._none(f"no session was free within {self._place_within:g} s") from None

    def _gone(self) -> SmtpError:
        return self._none("the account's sessions were closed")

    def _none(self, why: str) -> SmtpError:
        conversation = delivery.Conversation(server=f"{self._server.host}:{self._server.port}")
        return SmtpError("connect", "no_session", why, conversation)

    async def _reusable(self) -> Session | None:
        """Return the idle session used last, proved alive if it was idle for a while."""
        while self._idle:
            session = self._idle.pop()
            alive = session.usable and (self._idle_time(session) < self._check_after or await session.check())
            if alive and session.server == self._server:
                return session
            self._close_later(session)
        return None

    async def _fresh(self) -> Session:
        while self._idle and self.open > self._limit:
            await self._idle.pop(0).close()
        return await Session.open(self._server, allowed=self._allowed, timeouts=self._timeouts)

    def _take_back(self, session: Session) -> None:
        worn = session.transactions >= self._transactions or session.server != self._server
        if self._closed or worn or not session.usable or self.open >= self._limit:
            self._close_later(session)
            return
        self._idle.append(session)
        if self._sweeper is None:
            self._sweep_in(self._idle_for)

    def _idle_time(self, session: Session) -> float:
        return asyncio.get_running_loop().time() - session.idle_since

    def _sweep_in(self, seconds: float) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long and come again when the next one will have been."""
        self._sweeper = None
        for session in [one for one in self._idle if self._idle_time(one) >= self._idle_for]:
            self._idle.remove(session)
            self._close_later(session)
        if self._idle:
            oldest = max(self._idle_time(session) for session in self._idle)
            self._sweep_in(max(self._idle_for - oldest, 0.01))

    def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for session in idle:
            self._close_later(session)

    def _close_later(self, session: Session) -> None:
        task = asyncio.get_running_loop().create_task(session.close(), name="close-smtp-session")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
