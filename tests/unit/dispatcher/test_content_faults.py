"""What a content store that fails costs: nothing of the email's own, at whatever moment it fails."""

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
from shared.events.email import Attachment
from shared.runtime.content import ContentMissing, ContentUnavailable
from shared.runtime.delivery import ACK, Delivery
from shared.runtime.instrumenting import Origin
from tests.controls import dispatching
from tests.controls.emails import a_request, an_origin
from tests.fakes.log import FakeLog
from tests.fakes.suppressions import FakeSuppressions

FILE = Attachment(id="1", filename="a", content_type="a/b", size=3, sha256="", key="k")


class Hands:
    """What became of the record handed out."""

    def __init__(self) -> None:
        self.settled: list[bytes] = []

    async def settle(self, delivery: Delivery, verb: bytes) -> None:
        self.settled.append(verb)
        delivery.settled = True

    async def set_aside(self, delivery: Delivery, why: Exception) -> None:
        raise AssertionError(why)

    def forget(self, delivery: Delivery) -> None:
        self.settled.append(b"left")


class Store:
    """A content store that answers a question for a file's size with this."""

    def __init__(self, answer: int | Exception) -> None:
        self._answer = answer

    async def size(self, key: str) -> int:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Hop:
    """Pool and session in one, whose transactions end with this error."""

    def __init__(self, error: Exception) -> None:
        self.error, self.begun = error, 0

    @asynccontextmanager
    async def session(self, *, bulk: bool = False, fresh: bool = False) -> AsyncIterator["Hop"]:
        yield self

    async def transact(self, envelope: Envelope, still_ours: Callable[[], bool]) -> Outcome:
        self.begun += 1
        raise self.error

    def set_limit(self, limit: int) -> None:
        pass


class House:
    def __init__(self, hop: Hop) -> None:
        self._lane = Lane(dispatching.an_account(25), hop, limits.Limiter(None, ""))  # type: ignore[arg-type]
        self._lane.set_share(1)

    async def lane(self, workspace: str, account_id: str) -> Lane:
        return self._lane

    def signer(self, *_: Any) -> None:
        return None

    def origin(self, workspace: str, email_id: str) -> Origin:
        return an_origin(workspace, email_id)


async def handled(store: Store, hop: Hop, **fields: Any) -> tuple[FakeLog, Hands]:
    """Let a dispatcher handle one email with a file."""
    log, hands = FakeLog(), Hands()
    first = a_request(**({"attachments": (FILE,)} | fields))
    item = first._replace(sequence=log.put(first, 0))
    parts: Any = (House(hop), Voice(log, log), store, Suppressing(FakeSuppressions()))  # type: ignore[arg-type]
    await Handlers(*parts)._guarded(Delivery(hands, item, "", 1, handlers_._monotonic()))
    return log, hands


async def test_a_store_that_fails_midway_defers_the_email_and_burns_no_attempt() -> None:
    log, hands = await handled(Store(3), Hop(ContentUnavailable("no answer")))
    _, sending, deferred = [item.event for item in log.records]
    assert isinstance(sending, said.Sending)
    assert isinstance(deferred, said.Deferred)
    assert (deferred.reason.code, deferred.attempts, deferred.attempt) == ("content_unavailable", 0, 0)
    assert deferred.claim_id == sending.claim_id
    assert deferred.reason.retryable
    assert deferred.email is not None
    assert deferred.next_attempt_at - deferred.occurred_at == handlers_.CONTENT_RETRY
    assert hands.settled == [ACK]


async def test_a_store_that_fails_before_the_claim_leaves_the_record_to_come_again() -> None:
    hop = Hop(AssertionError("nothing is sent"))
    log, hands = await handled(Store(ContentUnavailable("no answer")), hop)
    assert [item.event.name for item in log.records] == ["requested"]
    assert hands.settled[0].startswith(b"-NAK")
    assert hop.begun == 0


@pytest.mark.parametrize("answer", [ContentMissing("k"), 2])
async def test_a_file_that_is_gone_or_shorter_fails_the_email_before_the_claim(
    answer: int | Exception,
) -> None:
    hop = Hop(AssertionError("nothing is sent"))
    log, hands = await handled(Store(answer), hop)
    assert [item.event.name for item in log.records] == ["requested", "failed"]
    failed = log.records[-1].event
    assert isinstance(failed, said.Failed)
    assert failed.reason.code == "content_lost"
    assert hands.settled == [ACK]
    assert hop.begun == 0


async def test_an_email_that_cannot_be_composed_fails_before_the_claim_and_does_not_come_again() -> None:
    hop = Hop(AssertionError("nothing is sent"))
    log, hands = await handled(Store(3), hop, message_id="no id")
    assert [item.event.name for item in log.records] == ["requested", "failed"]
    failed = log.records[-1].event
    assert isinstance(failed, said.Failed)
    assert failed.reason.code == "not_composed"
    assert not failed.reason.retryable
    assert hands.settled == [ACK]
    assert hop.begun == 0
