"""Whom a dispatcher leaves out, what it says of them, and how often it asks."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.dispatcher import conclusion, reasons, unattempted
from services.dispatcher.conclusion import Claim
from services.dispatcher.decisions import Stand
from services.dispatcher.outcome import Outcome, RecipientReply
from services.dispatcher.suppressing import Suppressing
from shared.events import delivery, fold, status
from shared.events.delivery import RecipientResult
from shared.runtime.log import BrokerUnavailable
from shared.runtime.suppressions import Entry, Place
from tests.controls.emails import NOON, an_email, minutes
from tests.fakes.suppressions import FakeSuppressions

ANN, BOB, CAROL = "ann@world.test", "bob@world.test", "carol@world.test"


def stand(*addresses: str, results: tuple[RecipientResult, ...] = ()) -> Stand:
    email = an_email(*(addresses or (ANN, BOB, CAROL)))
    return Stand(round=1, guard=1, attempts=1, expires_at=NOON + minutes(60), email=email, results=results)


def result(address: str, word: Any) -> RecipientResult:
    return RecipientResult(address=address, status=word, smtp_code=550 if word == "failed" else None)


async def checked(suppressed: Iterable[str], given: Stand) -> Stand:
    lists = FakeSuppressions()
    for address in suppressed:
        await lists.add("default", address, "manual")
    return await Suppressing(lists).checked("default", given)


def outcome(*replies: tuple[str, int, str], phase: Any = "rcpt") -> Outcome:
    return Outcome(
        phase="done",
        replies=tuple(RecipientReply(address, code, None, text, phase) for address, code, text in replies),
        final=None,
        conversation=delivery.Conversation(server="x.test:25"),
    )


def claim(of: Stand) -> Claim:
    return Claim(claim_id="c", attempt=2, stand=of, at_most_once=False)


def conclude(of: Stand, *replies: tuple[str, int, str]) -> delivery.Outcome:
    return conclusion.conclude(claim(of), outcome(*replies), NOON, 0.0, timedelta(0))


def words(event: delivery.Outcome) -> dict[str, str]:
    return {one.address: one.status for one in event.recipients}


async def test_a_suppressed_recipient_waits_no_longer_and_the_others_do() -> None:
    found = await checked([BOB.upper()], stand())
    assert found.waiting() == (ANN, CAROL)
    assert [one.status for one in found.suppressed] == ["suppressed"]


async def test_the_others_are_sent_to_and_the_suppressed_one_has_a_state_of_its_own() -> None:
    event = conclude(await checked([BOB], stand()), (ANN, 250, "ok"), (CAROL, 250, "ok"))
    assert isinstance(event, delivery.Sent)
    assert words(event) == {ANN: "sent", BOB: "suppressed", CAROL: "sent"}


async def test_one_who_waits_defers_all_and_the_suppressed_one_is_settled_for_the_next_attempt() -> None:
    event = conclude(await checked([BOB], stand()), (ANN, 250, "ok"), (CAROL, 450, "later"))
    assert isinstance(event, delivery.Deferred)
    assert stand(results=event.results).waiting() == (CAROL,)


async def test_suppressed_and_refused_recipients_together_are_failed() -> None:
    event = conclude(await checked([ANN, BOB], stand()), (CAROL, 550, "5.7.1 no"))
    assert isinstance(event, delivery.Failed)
    assert event.reason.code == "550"
    assert words(event) == {CAROL: "failed", ANN: "suppressed", BOB: "suppressed"}


@pytest.mark.parametrize(
    ("earlier", "kind"),
    [
        ((), delivery.Suppressed),
        ((result(ANN, "sent"),), delivery.Sent),
        ((result(ANN, "failed"),), delivery.Failed),
        ((result(ANN, "failed"), result(BOB, "sent")), delivery.Sent),
        ((result(ANN, "suppressed"),), delivery.Suppressed),
        ((result(ANN, "deferred"),), delivery.Suppressed),
    ],
)
async def test_nobody_left_to_write_to_ends_the_email_as_the_others_did(
    earlier: tuple[RecipientResult, ...], kind: type[delivery.Outcome]
) -> None:
    found = await checked([ANN, BOB, CAROL], stand(results=earlier))
    assert found.waiting() == ()
    event = unattempted.suppressed(found, NOON)
    assert type(event) is kind
    state = fold.apply(fold.State(), event, "id")
    assert status.raw(state) == event.name


async def test_all_suppressed_says_why_and_what_to_do() -> None:
    event = unattempted.suppressed(await checked([ANN], stand(ANN)), NOON)
    assert isinstance(event, delivery.Suppressed)
    assert event.reason.code == "suppressed"
    assert not event.reason.retryable
    assert "suppression list" in event.reason.suggested_action
    assert "manual" in (event.recipients[0].text or "")


async def test_an_expired_email_tells_the_suppressed_ones_apart() -> None:
    found = await checked([BOB], stand())
    event = unattempted.failed(found, reasons.EXPIRED, NOON)
    assert words(event) == {ANN: "failed", CAROL: "failed", BOB: "suppressed"}


async def test_results_bear_the_clients_spelling_also_for_the_next_attempt() -> None:
    idn = "ann@bücher.example"
    event = conclude(
        await checked([], stand(idn, BOB)), ("ann@xn--bcher-kva.example", 250, "ok"), (BOB, 450, "later")
    )
    assert isinstance(event, delivery.Deferred)
    assert words(event) == {idn: "sent", BOB: "deferred"}
    assert stand(idn, BOB, results=event.results).waiting() == (BOB,)


def gone(*replies: tuple[str, int, str], phase: Any = "rcpt") -> tuple[str, ...]:
    found = conclusion.gone(
        claim(stand(*(address for address, _, _ in replies))), outcome(*replies, phase=phase)
    )
    return tuple(address for address, _ in found)


def test_only_whom_the_reply_to_their_own_rcpt_proves_gone_is_put_on_the_list() -> None:
    assert gone((ANN, 550, "5.1.1 User unknown"), (BOB, 550, "5.7.1 no"), (CAROL, 250, "ok")) == (ANN,)


@pytest.mark.parametrize("phase", ["data", "final", "body"])
def test_after_data_only_a_lone_recipient_can_be_meant(phase: str) -> None:
    assert gone((ANN, 550, "5.1.1 User unknown"), phase=phase) == (ANN,)
    assert gone((ANN, 550, "5.1.1 User unknown"), (BOB, 550, "5.1.1 User unknown"), phase=phase) == ()


@pytest.mark.parametrize("phase", ["resolve", "connect", "banner", "tls", "ehlo", "auth", "mail"])
def test_before_the_recipient_was_named_nothing_is_about_it(phase: str) -> None:
    assert gone((ANN, 550, "5.1.1 User unknown"), phase=phase) == ()


class Counting(FakeSuppressions):
    """Answers after a moment, and remembers the size of each question."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def find_all(self, places: Iterable[Place]) -> dict[Place, Entry]:
        places = list(places)
        self.sizes.append(len(places))
        self.is_asked.set()
        await asyncio.sleep(0)
        await self.may_answer.wait()
        return await super().find_all(places)


async def test_a_batch_of_records_is_one_question() -> None:
    lists = Counting()
    asking = Suppressing(lists)
    await lists.add("default", "u7@world.test", "manual")
    found = await asyncio.gather(
        *(asking.checked("default", stand(f"u{n}@world.test", BOB)) for n in range(256))
    )
    assert lists.sizes == [257]
    assert [n for n, one in enumerate(found) if one.suppressed] == [7]


async def test_what_comes_while_a_question_is_out_waits_for_the_next_one_and_gets_no_older_answer() -> None:
    lists = Counting()
    asking = Suppressing(lists)
    lists.may_answer.clear()
    early = asyncio.create_task(asking.checked("default", stand(ANN)))
    await lists.is_asked.wait()
    late = [asyncio.create_task(asking.checked("default", stand(BOB))) for _ in range(10)]
    await asyncio.sleep(0)
    await lists.add("default", BOB, "manual")
    lists.may_answer.set()
    assert (await early).waiting() == (ANN,)
    assert not any(one.waiting() for one in await asyncio.gather(*late))
    assert lists.sizes == [1, 1]


async def test_a_fresh_answer_is_used_again_and_an_old_one_is_not() -> None:
    lists = Counting()
    asking = Suppressing(lists)
    found = await asking.checked("default", stand(ANN))
    await asking.checked("default", found)
    assert lists.sizes == [1]
    assert found.checked_at is not None
    old = msgspec.structs.replace(found, checked_at=found.checked_at - 1)
    await asking.checked("default", old)
    assert lists.sizes == [1, 1]


class Away(FakeSuppressions):
    """Does not answer the first few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def find_all(self, places: Iterable[Place]) -> dict[Place, Entry]:
        self._fail()
        return await super().find_all(places)

    async def add(self, *given: Any) -> tuple[Entry, bool]:
        self._fail()
        return await super().add(*given)

    def _fail(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise BrokerUnavailable("away")


async def test_lists_that_cannot_be_asked_are_no_permission_to_send() -> None:
    asking = Suppressing(Away(1))
    failed = await asyncio.gather(
        *(asking.checked("default", stand(ANN)) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(one, BrokerUnavailable) for one in failed)
    assert (await asking.checked("default", stand(ANN))).waiting() == (ANN,)


async def test_one_who_stops_waiting_takes_no_answer_from_the_others() -> None:
    lists = Counting()
    asking = Suppressing(lists)
    lists.may_answer.clear()
    first, second = (asyncio.create_task(asking.checked("default", stand(ANN))) for _ in range(2))
    await lists.is_asked.wait()
    first.cancel()
    lists.may_answer.set()
    assert (await second).waiting() == (ANN,)


async def test_an_address_that_is_gone_is_added_also_when_the_list_is_away_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.dispatcher.suppressing.ADD_AGAIN", 0.0)
    lists = Away(3)
    await Suppressing(lists).add("default", [(ANN, "550 5.1.1 User unknown")])
    found = await lists.find("default", [ANN])
    assert (found[ANN].reason, found[ANN].detail) == ("bounce", "550 5.1.1 User unknown")


async def test_a_list_that_takes_nothing_does_not_keep_the_outcome_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.dispatcher.suppressing.ADD_WITHIN", 0.01)
    await Suppressing(Away(10_000)).add("default", [(ANN, "550 5.1.1 User unknown")])


async def test_what_a_server_has_answered_is_told_whatever_becomes_of_a_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lists = FakeSuppressions()

    async def fail(*_: Any) -> Any:
        raise msgspec.ValidationError("an entry of a later version")

    monkeypatch.setattr(lists, "add", fail)
    await Suppressing(lists).add("default", [(ANN, "550 5.1.1 User unknown")])


async def test_many_who_are_gone_cost_no_more_time_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dispatcher.suppressing.ADD_WITHIN", 0.05)
    began = asyncio.get_running_loop().time()
    gone = [(f"user{number}@world.test", "550 5.1.1 User unknown") for number in range(50)]
    await Suppressing(Away(10_000)).add("default", gone)
    assert asyncio.get_running_loop().time() - began < 1
