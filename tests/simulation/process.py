"""One dispatcher process of a seed: the real handlers on made-up ports, which die and stall with it."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from services.dispatcher import limits
from services.dispatcher.envelope import Envelope
from services.dispatcher.handlers import Handlers
from services.dispatcher.lanes import Lane
from services.dispatcher.outcome import Outcome, RecipientReply, Reply
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from shared.events import delivery, record
from shared.runtime.configuration import Account
from shared.runtime.instrumenting import Origin
from shared.runtime.log import BrokerUnavailable
from shared.runtime.suppressions import Cause, Entry, Place
from tests.controls import dispatching
from tests.controls.emails import an_origin
from tests.simulation.broker import Hand, Pending
from tests.simulation.copies import Troubles

if TYPE_CHECKING:
    from tests.simulation.world import World


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
