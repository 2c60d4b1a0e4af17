"""What waits in hand: without a share unclaimed, coming neither again nor going away; and a single send in any case."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.dispatcher import handlers as handlers_
from services.dispatcher import limits
from services.dispatcher.envelope import Envelope
from services.dispatcher.handlers import Handlers
from services.dispatcher.lanes import Lane
from services.dispatcher.limits import Slot
from services.dispatcher.outcome import Outcome
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from shared.events.record import Record
from shared.runtime.configuration import Account, Limits
from shared.runtime.content import ContentUnavailable
from shared.runtime.delivery import Delivery
from tests.controls import dispatching
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions
from tests.unit.dispatcher.test_content_faults import Hands
from tests.unit.dispatcher.test_house import OneLane


class SlowHop:
    """Pool and session in one, whose every transaction takes until `answer`."""

    def __init__(self) -> None:
        self.answer, self.under_way = asyncio.Event(), 0
        self.bulk: list[bool] = []

    @asynccontextmanager
    async def session(self, *, bulk: bool = False, fresh: bool = False) -> AsyncIterator["SlowHop"]:
        self.bulk.append(bulk)
        yield self

    async def transact(self, envelope: Envelope, still_ours: Callable[[], bool]) -> Outcome:
        self.under_way += 1
        await self.answer.wait()
        raise ContentUnavailable("ends here")

    def set_limit(self, limit: int) -> None:
        pass


class Turns(limits.Limiter):
    """No limits at all, and who asked."""

    def __init__(self) -> None:
        super().__init__(None, "")  # type: ignore[arg-type]
        self.bulk: list[bool] = []

    async def slot(self, limits: Limits, *, bulk: bool = False) -> Slot:
        self.bulk.append(bulk)
        return await super().slot(limits, bulk=bulk)


class House(OneLane):
    """With a lane that knows of its account what it was when last asked for, as in the real one."""

    def __init__(self, lane: Lane, account: Account) -> None:
        super().__init__(lane)
        self.account = account

    async def lane(self, workspace: str, account_id: str) -> Lane:
        self._lane.account = self.account
        return self._lane


class Dispatcher:
    """One with one account, whose next hop takes its time."""

    def __init__(self) -> None:
        self.log, self.hands, self.hop = FakeLog(), Hands(), SlowHop()
        account = dispatching.an_account(25)
        self.turns = Turns()
        self.lane = Lane(account, self.hop, self.turns)  # type: ignore[arg-type]
        self.house = House(self.lane, account)
        parts: Any = (self.house, Voice(self.log, self.log), None, Suppressing(FakeSuppressions()))  # type: ignore[arg-type]
        self.handlers = Handlers(*parts)

    async def take(self, item: Record) -> None:
        item = item._replace(sequence=self.log.put(item, 0))
        await self.handlers.take([Delivery(self.hands, item, "", 1, handlers_._monotonic())])

    def said(self) -> list[str]:
        return [item.event.name for item in self.log.records if item.event.name != "requested"]

    async def says(self, *names: str) -> None:
        """Wait until this is all that was said."""

        def check() -> bool:
            assert self.said() == [*names]
            return True

        await eventually(check)


@pytest.fixture
async def dispatcher() -> AsyncIterator[Dispatcher]:
    one = Dispatcher()
    yield one
    await one.handlers.stop(0)


async def _a_while() -> None:
    """Let everything run that could."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_mail_without_a_share_waits_in_hand_until_there_is_one(dispatcher: Dispatcher) -> None:
    await dispatcher.take(a_request())
    await _a_while()
    assert (dispatcher.said(), dispatcher.hands.settled) == ([], [])
    dispatcher.lane.set_share(1)
    await dispatcher.says("sending")


async def test_whoever_comes_next_when_the_share_has_gone_claims_nothing(dispatcher: Dispatcher) -> None:
    dispatcher.lane.set_share(1)
    await dispatcher.take(a_request())
    await dispatcher.take(a_request())
    await eventually(lambda: dispatcher.hop.under_way == 1)
    dispatcher.lane.set_share(0)
    dispatcher.hop.answer.set()
    await dispatcher.says("sending", "deferred")
    await _a_while()
    assert dispatcher.said() == ["sending", "deferred"]
    dispatcher.lane.set_share(1)
    await dispatcher.says(*["sending", "deferred"] * 2)


async def test_mail_that_expires_without_a_share_is_told_to_have_failed(dispatcher: Dispatcher) -> None:
    await dispatcher.take(a_request(expires_at=datetime.now(UTC) + timedelta(seconds=0.2)))
    await dispatcher.says("failed")


async def test_mail_that_waited_goes_on_as_its_account_is_by_then(dispatcher: Dispatcher) -> None:
    await dispatcher.take(a_request())
    await _a_while()
    dispatcher.house.account = msgspec.structs.replace(dispatcher.house.account, disabled=True)
    dispatcher.lane.set_share(1)
    await dispatcher.says("deferred")


async def test_as_many_are_claimed_as_there_are_connections_once_there_is_a_share(
    dispatcher: Dispatcher,
) -> None:
    for _ in range(3):
        await dispatcher.take(a_request())
    await _a_while()
    dispatcher.lane.set_share(3)
    await dispatcher.says(*["sending"] * 3)


async def test_a_single_send_is_held_however_much_of_a_batch_is_in_hand(dispatcher: Dispatcher) -> None:
    """Sent back to wait for its turn it would come after all of that."""
    lane = dispatcher.lane
    lane.set_share(1)
    lane.held = lane.may_hold(1000)
    await dispatcher.take(a_request())
    await dispatcher.says("sending")
    lane.unasked = lane.may_hold(1000)
    await dispatcher.take(a_request())
    await dispatcher.says("sending", "deferred")
    dispatcher.hop.answer.set()


async def test_a_single_send_goes_before_what_is_in_hand_of_a_batch_wherever_that_waits(
    dispatcher: Dispatcher,
) -> None:
    """For a claim, for a moment of the limit and for a session: each is told which of the two it is."""
    dispatcher.lane.set_share(1)
    first, second, single = (a_request(batch_id=batch_id) for batch_id in ("b", "b", None))
    for item in (first, second, single):
        await dispatcher.take(item)
    await eventually(lambda: dispatcher.hop.under_way == 1)
    dispatcher.hop.answer.set()
    await dispatcher.says(*["sending", "deferred"] * 3)
    claims = [item.email_id for item in dispatcher.log.records if item.event.name == "sending"]
    assert claims == [first.email_id, single.email_id, second.email_id]
    assert dispatcher.turns.bulk == dispatcher.hop.bulk == [True, False, True]
