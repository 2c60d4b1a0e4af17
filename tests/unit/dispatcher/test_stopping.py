"""A stop while a claim is being said: what is concluded is what is in the log, and nothing else."""

import asyncio
from typing import Any

from services.dispatcher import handlers as handlers_
from services.dispatcher.handlers import Handlers
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from shared.events import delivery as said
from shared.events import record
from shared.runtime.delivery import ACK, Delivery
from shared.runtime.publisher import Unconfirmed
from tests.controls.emails import a_request
from tests.controls.eventually import eventually
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions
from tests.unit.dispatcher.test_content_faults import Hands, Hop, House


class SlowClaims:
    """A publisher that holds claims up until it is told whether they come into the log."""

    def __init__(self, log: FakeLog) -> None:
        self._log, self.asked = log, asyncio.Event()
        self.comes_in: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def append(self, item: record.Record, *, guard: int | None = None, within: float = 30.0) -> int:
        if isinstance(item.event, said.Sending):
            self.asked.set()
            if not await asyncio.shield(self.comes_in):
                raise Unconfirmed("no answer")
        return self._log.put(item, guard)


async def stopped_while_claiming(*, comes_in: bool) -> tuple[list[str], Hands, Hop]:
    """Stop a dispatcher that is claiming an email, then let the claim come into the log or not."""
    log, hands, first = FakeLog(), Hands(), a_request()
    item = first._replace(sequence=log.put(first, 0))
    publisher, hop = SlowClaims(log), Hop(AssertionError("nothing is sent"))
    parts: Any = (House(hop), Voice(log, publisher), None, Suppressing(FakeSuppressions()))  # type: ignore[arg-type]
    handlers = Handlers(*parts)
    await handlers.take([Delivery(hands, item, "", 1, handlers_._monotonic())])
    await publisher.asked.wait()
    stopping = asyncio.create_task(handlers.stop(0.01))
    await eventually(lambda: handlers._tasks.over)
    assert [one.event.name for one in log.records] == ["requested"]
    publisher.comes_in.set_result(comes_in)
    async with asyncio.timeout(5):
        await stopping
    return [one.event.name for one in log.records], hands, hop


async def test_a_claim_that_came_into_the_log_is_concluded_and_nothing_is_sent() -> None:
    names, hands, hop = await stopped_while_claiming(comes_in=True)
    assert names == ["requested", "sending", "deferred"]
    assert hop.begun == 0
    assert hands.settled == [ACK]


async def test_of_a_claim_that_is_not_in_the_log_nothing_is_told() -> None:
    names, hands, hop = await stopped_while_claiming(comes_in=False)
    assert names == ["requested"]
    assert hop.begun == 0
    assert hands.settled[0].startswith(b"-NAK")
