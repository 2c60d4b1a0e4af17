"""One seed's world: a few emails, three dispatchers that may die or stall, a next hop with moods, a scheduler."""

import asyncio
import hashlib
import random
import uuid
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from services.dispatcher import handlers
from services.dispatcher.envelope import Envelope
from shared.events import delivery, fold, record, schedule, status, submission
from shared.events.base import Event
from shared.runtime import handles
from shared.runtime.publisher import Conflict
from tests.controls.emails import NOON, TOKENS, a_record, an_email
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions
from tests.simulation.broker import Group
from tests.simulation.copies import Copies, Copy
from tests.simulation.process import Process

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
        # For as long as it lasts: other tests of the same run have the clock on the wall.
        with patch.object(handlers, "_now", self.now):
            await self._run()

    async def _run(self) -> None:
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
