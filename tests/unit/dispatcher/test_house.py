"""The lanes of a dispatcher: closed when they are idle, never while one of them has mail."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.dispatcher import handlers as handlers_
from services.dispatcher import lanes, limits
from services.dispatcher.handlers import Handlers
from services.dispatcher.house import House
from services.dispatcher.lanes import Lane
from services.dispatcher.opening import Server
from services.dispatcher.pool import Pool
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from shared.events import delivery as said
from shared.runtime.delivery import ACK, Delivery
from shared.runtime.instrumenting import Origin
from tests.controls import dispatching
from tests.controls.emails import a_request, an_origin
from tests.controls.eventually import eventually
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions
from tests.unit.dispatcher.test_content_faults import Hands


class NoAccounts:
    """The configuration, with nothing in it."""

    async def get(self, key: str) -> None:
        return None


class SlowLeases:
    """A lease bucket whose answer comes when it is let go."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()

    async def read(self, key: str) -> None:
        await self.answer.wait()

    def peek(self, key: str) -> None:
        return None

    async def put(self, key: str, entry: object, *, revision: int) -> int:
        return 1


class OneLane:
    """A house with this lane and no other."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def lane(self, workspace: str, account_id: str) -> Lane:
        return self._lane

    def signer(self, *_: Any) -> None:
        return None

    def origin(self, workspace: str, email_id: str) -> Origin:
        return an_origin(workspace, email_id)


async def test_a_lane_that_gets_mail_while_another_one_is_closed_stays_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "IDLE_AFTER", -1.0)
    leases, keyring = SlowLeases(), SimpleNamespace(current="1")
    parts: Any = (NoAccounts(), leases, None, keyring, (), "dispatcher.test")
    house = House("me", *parts)
    first, second = await house.lane("w", "first"), await house.lane("w", "second")
    sweeping = asyncio.create_task(house.sweep())
    await eventually(lambda: first.pool.closed)  # and now it gives its connections back
    second.held += 1
    leases.answer.set()
    await sweeping
    assert not second.pool.closed
    assert await house.lane("w", "second") is second
    await house.close()


@pytest.mark.parametrize("ambiguity", ["at_least_once", "at_most_once"])
async def test_an_email_whose_sessions_were_closed_under_it_waits_and_is_never_called_unconfirmed(
    ambiguity: str,
) -> None:
    pool = Pool(Server(host="nowhere.invalid", port=25), 1)
    await pool.close()
    lane = Lane(dispatching.an_account(25, ambiguity=ambiguity), pool, limits.Limiter(None, ""))  # type: ignore[arg-type]
    lane.set_share(1)
    log, hands, first = FakeLog(), Hands(), a_request()
    item = first._replace(sequence=log.put(first, 0))
    parts: Any = (OneLane(lane), Voice(log, log), None, Suppressing(FakeSuppressions()))  # type: ignore[arg-type]
    await Handlers(*parts)._guarded(Delivery(hands, item, "", 1, handlers_._monotonic()))
    *_, sending, deferred = [item.event for item in log.records]
    assert isinstance(sending, said.Sending)
    assert isinstance(deferred, said.Deferred)
    assert (deferred.claim_id, deferred.attempts) == (sending.claim_id, 0)
    assert deferred.reason.code == "no_slot"
    assert hands.settled == [ACK]
    assert lane.breaker.allows(handlers_._monotonic())
