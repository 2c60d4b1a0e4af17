"""A broker that stalls between a slot and its MAIL: what waited does not leave all at once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.dispatcher import handlers as handlers_
from services.dispatcher import limits
from services.dispatcher.envelope import Envelope
from services.dispatcher.handlers import Handlers
from services.dispatcher.lanes import Lane
from services.dispatcher.outcome import Outcome
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from shared.events import delivery as said
from shared.runtime.configuration import Limits
from shared.runtime.content import ContentUnavailable
from shared.runtime.delivery import Delivery
from shared.runtime.instrumenting import Origin
from shared.runtime.log import BrokerUnavailable
from tests.controls import dispatching
from tests.controls.emails import a_request, an_origin
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions
from tests.unit.dispatcher.test_content_faults import Hands

START = 1_795_000_000.0
TEN = Limits(per_second=10, per_day=1000)


class Clock:
    """Time that passes only while somebody sleeps, or stalls."""

    def __init__(self) -> None:
        self.now = START

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Shelf:
    """The bucket of the ledgers: one entry."""

    def __init__(self) -> None:
        self.revision, self.ledger, self.answers = 0, limits.Ledger(), True

    async def read(self, key: str) -> tuple[int, limits.Ledger] | None:
        if not self.answers:
            raise BrokerUnavailable("no answer")
        return (self.revision, self.ledger) if self.revision else None

    async def put(self, key: str, ledger: limits.Ledger, *, revision: int) -> int:
        assert revision == self.revision
        self.revision, self.ledger = self.revision + 1, ledger
        return self.revision


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    monkeypatch.setattr("services.dispatcher.limits.asyncio.sleep", clock.sleep)
    return clock


async def test_what_waited_while_the_broker_stalled_leaves_within_the_limit(clock: Clock) -> None:
    shelf, left = Shelf(), []
    limiter = limits.Limiter(shelf, "k")  # type: ignore[arg-type]
    slots = [await limiter.slot(TEN) for _ in range(25)]
    clock.now += 3
    for slot in slots:
        await slot.keep()
        left.append(clock.now)
    assert max(sum(at <= other < at + 1 for other in left) for at in left) <= 15
    assert shelf.ledger.day.used == 25  # what was exchanged is counted once
    assert shelf.ledger.hour.used == 25


async def test_a_moment_that_has_not_passed_is_kept(clock: Clock) -> None:
    shelf = Shelf()
    slot = await limits.Limiter(shelf, "k").slot(TEN)  # type: ignore[arg-type]
    clock.now += 0.4
    await slot.keep()
    assert (clock.now, shelf.revision) == (START + 0.4, 1)


async def test_one_a_minute_leaves_though_connecting_takes_seconds(clock: Clock) -> None:
    shelf = Shelf()
    slot = await limits.Limiter(shelf, "k").slot(Limits(per_minute=1))  # type: ignore[arg-type]
    clock.now += 9
    await slot.keep()
    assert (clock.now, shelf.revision) == (START + 9, 1)


class Hop:
    """Pool and session in one: waiting for a session takes 3 s, and a message notes when its MAIL left."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.left = clock, 0.0
        self.meanwhile: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def session(self, *, bulk: bool = False, fresh: bool = False) -> AsyncIterator["Hop"]:
        self.clock.now += 3
        self.meanwhile()
        yield self

    async def transact(self, envelope: Envelope, still_ours: Callable[[], bool]) -> Outcome:
        self.left = self.clock.now
        raise ContentUnavailable("ends here")

    def set_limit(self, limit: int) -> None:
        pass


class House:
    def __init__(self, hop: Hop, shelf: Shelf) -> None:
        account = dispatching.an_account(25, limits=TEN)
        self._lane = Lane(account, hop, limits.Limiter(shelf, "k"))  # type: ignore[arg-type]
        self._lane.set_share(1)

    async def lane(self, workspace: str, account_id: str) -> Lane:
        return self._lane

    def signer(self, *_: Any) -> None:
        return None

    def origin(self, workspace: str, email_id: str) -> Origin:
        return an_origin(workspace, email_id)


async def _handled(hop: Hop, shelf: Shelf) -> FakeLog:
    log = FakeLog()
    first = a_request()
    item = first._replace(sequence=log.put(first, 0))
    parts: Any = (House(hop, shelf), Voice(log, log), None, Suppressing(FakeSuppressions()))  # type: ignore[arg-type]
    await Handlers(*parts)._guarded(Delivery(Hands(), item, "", 1, handlers_._monotonic()))
    return log


async def test_an_email_that_waited_for_its_session_takes_the_next_moment_then(clock: Clock) -> None:
    hop, shelf = Hop(clock), Shelf()
    hop.meanwhile = lambda: setattr(shelf, "ledger", limits.Ledger(clock.now + 1, shelf.ledger.hour))
    await _handled(hop, shelf)
    assert hop.left == START + 4  # others had reserved the second in between


async def test_where_no_other_moment_is_near_the_claim_is_given_up_and_says_why(clock: Clock) -> None:
    hop, shelf = Hop(clock), Shelf()
    hop.meanwhile = lambda: setattr(shelf, "ledger", limits.Ledger(clock.now + 60))
    log = await _handled(hop, shelf)
    _, sending, deferred = [item.event for item in log.records]
    assert isinstance(sending, said.Sending)
    assert isinstance(deferred, said.Deferred)
    assert (deferred.reason.code, deferred.claim_id) == ("rate_limited", sending.claim_id)
    assert hop.left == 0.0


async def test_a_broker_that_is_silent_by_then_costs_a_wait_and_sends_nothing(clock: Clock) -> None:
    hop, shelf = Hop(clock), Shelf()
    hop.meanwhile = lambda: setattr(shelf, "answers", False)
    log = await _handled(hop, shelf)
    assert [item.event.name for item in log.records] == ["requested", "sending", "deferred"]
    assert hop.left == 0.0
