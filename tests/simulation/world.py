"""One seed's world: a few emails, three dispatchers that may die or stall, a next hop with moods, a scheduler."""

import asyncio
import hashlib
import math
import random
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from services.dispatcher import handlers, limits
from services.dispatcher.envelope import Envelope
from services.dispatcher.handlers import Handlers
from services.dispatcher.lanes import Lane
from services.dispatcher.outcome import Outcome, RecipientReply, Reply
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from shared.events import delivery, fold, record, schedule, status, submission
from shared.events.base import Event
from shared.runtime import handles
from shared.runtime.configuration import Account
from shared.runtime.instrumenting import Origin
from shared.runtime.log import BrokerUnavailable
from shared.runtime.publisher import Conflict
from shared.runtime.suppressions import Cause, Entry, Place
from tests.controls import dispatching
from tests.controls.emails import NOON, TOKENS, a_record, an_email, an_origin
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions
from tests.simulation.broker import Group, Hand, Pending
from tests.simulation.copies import Copies, Copy, Troubles

ADDRESSES = ("a@x.test", "b@x.test")
ABSENCE = 18.0
QUIET_AFTER = 6 * 3600.0


class Wire:
    """All dispatchers' log: appends may lose their answer, and reach the consumers."""

    def __init__(self, log: FakeLog, world: "World") -> None:
        self.log, self.world = log, world

    def append(self, item: record.Record, guard: int | None) -> int:
        before = len(self.log.records)
        sequence = self.log.put(item, guard)
        if len(self.log.records) > before:
            self.world.appended(self.log.records[-1])
        return sequence


class Ports:
    """Log and publisher of one dispatcher process: nothing leaves a dead one, a stalled one waits."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    async def append(self, item: record.Record, *, guard: int | None = None, within: float = 30.0) -> int:
        process = self._process
        await process.pass_time(0.01)
        await process.world.group.be_back()
        sequence = process.world.wire.append(item, guard)
        if process.world.dice.random() < 0.05:  # the answer is lost: the publisher repeats, meets itself
            await process.pass_time(0.3)
            if guard is None:
                return process.world.wire.append(item, None)
        await process.pass_time(0.005)
        return sequence

    async def history(self, workspace: str, email_id: str, *, within: float = 5.0) -> list[record.Record]:
        await self._process.pass_time(0.002)
        await self._process.world.group.be_back()
        return await self._process.world.log.history(workspace, email_id)


class Lists:
    """The suppression lists as one dispatcher process reaches them; sometimes they do not answer."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    async def find_all(self, places: Iterable[Place]) -> dict[Place, Entry]:
        process = self._process
        await process.pass_time(0.002)
        if process.world.dice.random() < 0.03:
            raise BrokerUnavailable("the lists do not answer")
        return await process.world.suppressions.find_all(places)

    async def add(
        self, workspace: str, email: str, reason: Cause, detail: str | None = None
    ) -> tuple[Entry, bool]:
        await self._process.pass_time(0.002)
        return await self._process.world.suppressions.add(workspace, email, reason, detail)


class Session:
    """The next hop as one session sees it."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    async def transact(self, envelope: Envelope, still_ours: Any) -> Outcome:
        process, world = self._process, self._process.world
        await process.pass_time(world.dice.choice((0.01, 0.5, 8.0)))
        mood = world.dice.choices(("ok", "4xx", "5xx", "mixed", "drop", "commitdrop"), (60, 12, 5, 8, 8, 7))[
            0
        ]
        if mood == "drop":
            return _outcome(envelope, "body", 0, error="dropped")
        if mood in ("4xx", "5xx"):
            return _outcome(envelope, "rcpt", 450 if mood == "4xx" else 550)
        if not still_ours():
            return _outcome(envelope, "body", 0, error="given up", kind="aborted")
        accepted = envelope.recipients[:1] if mood == "mixed" else envelope.recipients
        world.took(process, envelope, accepted, unanswered=mood == "commitdrop")
        await process.pass_time(world.dice.choice((0.01, 0.5, 20.0)))
        if mood == "commitdrop":
            return _outcome(envelope, "final", 0, error="dropped", ambiguous=True)
        codes = [250 if address in accepted else 450 for address in envelope.recipients]
        return _outcome(envelope, "done", *codes)


class _Pool:
    def __init__(self, process: "Process") -> None:
        self._process = process

    @asynccontextmanager
    async def session(self, *, bulk: bool = False, fresh: bool = False) -> AsyncIterator[Session]:
        yield Session(self._process)

    def set_limit(self, limit: int) -> None:
        """The made-up next hop takes any number."""


class _House:
    def __init__(self, process: "Process", lane: Lane) -> None:
        self._lane = lane

    async def lane(self, workspace: str, account_id: str) -> Lane:
        return self._lane

    def signer(self, account: Account, from_address: str) -> None:
        """Nothing is signed."""

    def origin(self, workspace: str, email_id: str) -> Origin:
        """Return what the email's handles are made with."""
        return an_origin(workspace, email_id)


class Process:
    """One dispatcher process: the real handlers on made-up ports."""

    def __init__(self, world: "World", ambiguity: str) -> None:
        self.world = world
        self.dead = False
        self.troubles = Troubles()
        self._running = asyncio.Event()
        self._running.set()
        self.hand = Hand(world.group, self)
        lane = Lane(
            dispatching.an_account(25, ambiguity=ambiguity),
            _Pool(self),  # type: ignore[arg-type]
            limits.Limiter(None, ""),  # type: ignore[arg-type]
        )
        lane.set_share(10)
        ports: Any = Ports(self)
        house: Any = _House(self, lane)
        store: Any = None
        self._handlers = Handlers(house, Voice(ports, ports), store, Suppressing(Lists(self)))
        self._beat = asyncio.create_task(self.hand.beat())

    def receive(self, pending: Pending) -> None:
        """Take a delivered record, as the consumer does."""
        if (taken := self.hand.take(pending)) is not None:
            self.tasks = asyncio.create_task(self._handlers.take([taken]))

    def kill(self) -> None:
        """kill -9: whatever it was waiting for never returns."""
        self.dead = True
        self._running.clear()
        self.troubles.add(asyncio.get_running_loop().time(), math.inf)

    async def stall(self, seconds: float) -> None:
        """SIGSTOP, then SIGCONT."""
        self._running.clear()
        now = asyncio.get_running_loop().time()
        self.troubles.add(now, now + seconds)
        await asyncio.sleep(seconds)
        if not self.dead:
            self._running.set()

    async def wait_while_stalled(self) -> None:
        """Wait until the process runs; for ever once it is dead."""
        if not self.world.over:
            await self._running.wait()

    async def pass_time(self, seconds: float) -> None:
        """Let something take that long."""
        await asyncio.sleep(seconds)
        await self.wait_while_stalled()


class World:
    """Everything of one seed, and what it came to."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.log = FakeLog()
        self.suppressions = FakeSuppressions()
        self.suppressed = tuple(
            address for address, chance in zip(ADDRESSES, (0.1, 0.4), strict=True)
            if self.dice.random() < chance
        )  # fmt: skip
        self.wire = Wire(self.log, self)
        self.copies = Copies()
        self.bytes: dict[str, set[str]] = {}
        self.group = Group(self.dice)
        self.deaths = 0
        self.over = False
        self.ended_at = NOON
        self.ambiguity = self.dice.choice(("at_least_once", "at_least_once", "at_most_once"))
        self.cancelled: set[str] = set()
        self.emails: list[str] = []

    async def run(self) -> None:
        """Live through one seed until nothing moves any more."""
        handlers._now = self.now
        for address in self.suppressed:
            await self.suppressions.add("default", address, "manual")
        self.group.members = [Process(self, self.ambiguity) for _ in range(3)]
        background = [asyncio.create_task(self.group.run()), asyncio.create_task(self._faults())]
        for _ in range(3):
            await asyncio.sleep(self.dice.random() * 5)
            self._request()
        while asyncio.get_running_loop().time() < QUIET_AFTER:
            await asyncio.sleep(20)
            if not self.group.pending and all(self._is_final(email_id) for email_id in self.emails):
                break
        await asyncio.sleep(60)  # what a stalled or late process still says is said by now
        for task in background:
            task.cancel()
        self.ended_at = self.now()
        self.over = True  # so that tasks of dead processes can be cancelled

    def _is_final(self, email_id: str) -> bool:
        return status.is_final(fold.fold(item for item in self.log.records if item.email_id == email_id))

    def now(self) -> datetime:
        """Return the virtual wall clock."""
        return NOON.replace(tzinfo=UTC) + timedelta(seconds=asyncio.get_running_loop().time())

    def took(self, process: Process, envelope: Envelope, accepted: list[str], *, unanswered: bool) -> None:
        """Note what the next hop now owns."""
        handle = handles.of_token(TOKENS, envelope.envid or "")
        assert handle is not None
        copy = Copy(asyncio.get_running_loop().time(), process, unanswered)
        for address in accepted:
            self.copies.took(handle.email_id, address, copy)
        assert envelope.message.whole is not None
        digest = hashlib.sha256(envelope.message.whole).hexdigest()
        self.bytes.setdefault(handle.email_id, set()).add(digest)

    def appended(self, item: record.Record) -> None:
        """Hand a new record to whoever consumes it."""
        event = item.event
        if isinstance(event, submission.Requested | schedule.Released):
            self.group.offer(item)
        elif isinstance(event, delivery.Deferred):
            asyncio.get_running_loop().create_task(self._release(item, event))

    def _request(self) -> None:
        event = submission.Requested(
            occurred_at=self.now(), release="now", email=an_email(*ADDRESSES, date=self.now())
        )
        item = a_record(event, email_id=str(uuid.UUID(int=self.dice.getrandbits(128))))
        self.emails.append(item.email_id)
        self.wire.append(item, 0)
        if self.dice.random() < 0.4:
            asyncio.get_running_loop().create_task(self._cancel(item))

    async def _cancel(self, item: record.Record) -> None:
        await asyncio.sleep(self.dice.choice((0.0, 0.011, 5.0, 70.0)))
        for _ in range(20):
            state = fold.fold(await self.log.history(item.workspace, item.email_id))
            await asyncio.sleep(0.004)
            if status.raw(state) not in ("queued", "deferred") or status.may_have_reached_anyone(state):
                return
            event = submission.Cancelled(occurred_at=self.now())
            try:
                self.wire.append(a_record(event, email_id=item.email_id), state.sequence)
            except Conflict:
                continue
            self.cancelled.add(item.email_id)
            return

    async def _release(self, item: record.Record, event: delivery.Deferred) -> None:
        """The scheduler, as far as one email needs it: wait, read, fold, release or expire."""
        await asyncio.sleep(max(0.0, (event.next_attempt_at - self.now()).total_seconds()))
        for _ in range(50):
            state = fold.fold(await self.log.history(item.workspace, item.email_id))
            await asyncio.sleep(0.004)
            waits = state.position[:2] == (event.round, fold.DEFERRED)
            if status.is_final(state) or not waits or state.claim_round > event.round:
                return
            try:
                self.wire.append(a_record(self._next(state, event), email_id=item.email_id), state.sequence)
                return
            except Conflict:
                continue

    def _next(self, state: fold.State, event: delivery.Deferred) -> Event:
        if self.now() >= event.expires_at:
            return schedule.Expired(occurred_at=self.now(), round=event.round, reason=event.reason)
        return schedule.Released(
            occurred_at=self.now(),
            round=status.latest_round(state) + 1,
            attempts=event.attempts,
            expires_at=event.expires_at,
            results=event.results,
            email=event.email,
        )

    async def _faults(self) -> None:
        while asyncio.get_running_loop().time() < 200:
            await asyncio.sleep(self.dice.expovariate(1 / 15))
            alive = [member for member in self.group.members if not member.dead]
            fault = self.dice.random()
            if fault < 0.4 and self.deaths < 4:
                self.deaths += 1
                self.dice.choice(alive).kill()
                self.group.members.append(Process(self, self.ambiguity))
            elif fault < 0.7:
                stall = self.dice.choice((3.0, 9.0, 40.0))
                asyncio.get_running_loop().create_task(self.dice.choice(alive).stall(stall))
            elif fault < 0.85:
                self.group.forget_holders()
            else:
                now = asyncio.get_running_loop().time()
                self.copies.absences.add(now, now + ABSENCE)
                await self.group.be_away(ABSENCE)


def _outcome(
    envelope: Envelope,
    phase: Any,
    *codes: int,
    error: str | None = None,
    kind: Any = "network",
    ambiguous: bool = False,
) -> Outcome:
    many = codes if len(codes) == len(envelope.recipients) else codes[:1] * len(envelope.recipients)
    replies = tuple(
        RecipientReply(address, code, None, "said so" if code else "", phase)
        for address, code in zip(envelope.recipients, many, strict=True)
    )
    return Outcome(
        phase=phase,
        replies=replies,
        final=Reply(many[0], "said so") if many and many[0] else None,
        conversation=delivery.Conversation(server="x.test:25"),
        ambiguous=ambiguous,
        error=error,
        error_kind=kind if error else None,
    )
