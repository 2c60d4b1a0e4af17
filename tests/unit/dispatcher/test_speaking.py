"""Who may speak for an email after a lost race: never over a holder that lives."""

import uuid

import pytest

from services.dispatcher import unattempted
from services.dispatcher.decisions import Stand, Unusable
from services.dispatcher.speaking import Voice
from shared.events import delivery as said
from shared.events import record, schedule
from shared.events.base import Event
from shared.runtime.delivery import Delivery
from tests.controls.emails import ACCOUNT, NOON, a_record, a_request
from tests.fakes.log import FakeLog


class Hands:
    """What became of the deliveries handed out."""

    def __init__(self) -> None:
        self.settled: list[bytes] = []
        self.left = 0

    async def settle(self, delivery: Delivery, verb: bytes) -> None:
        self.settled.append(verb)

    async def set_aside(self, delivery: Delivery, why: Exception) -> None:
        raise AssertionError(why)

    def forget(self, delivery: Delivery) -> None:
        self.left += 1


class World:
    """One email in the log, a record of it in hand, and a voice."""

    def __init__(self, delivered: int) -> None:
        self.log = FakeLog()
        first = a_request()
        self.item = first._replace(sequence=self.log.put(first, 0))
        self.hands = Hands()
        self.delivery = Delivery(self.hands, self.item, "", delivered, 0.0)
        self.voice = Voice(self.log, self.log)  # type: ignore[arg-type]

    def says(self, event: Event) -> None:
        self.log.put(a_record(event, email_id=self.item.email_id), None)

    async def claim(self, stand: Stand) -> Stand | None:
        claim_id = uuid.uuid4().hex
        return await self.voice.say(
            self.delivery, stand, claim_id, lambda s: unattempted.sending(s, claim_id, NOON)
        )

    def names(self) -> list[str]:
        return [item.event.name for item in self.log.records]


def claim_of(name: str, round_: int = 1) -> said.Sending:
    return said.Sending(occurred_at=NOON, round=round_, attempt=1, claim_id=name, account_id=ACCOUNT)


@pytest.mark.parametrize("delivered", [1, 2])
async def test_a_claim_met_in_a_race_is_left_alone_however_often_our_record_came(delivered: int) -> None:
    world = World(delivered)
    stand = await world.voice.stand(world.delivery)
    assert stand is not None
    world.says(claim_of("rival"))
    assert await world.claim(stand) is None
    assert world.names() == ["requested", "sending"]
    assert (world.hands.left, world.hands.settled) == (1, [])


async def test_a_claim_seen_when_the_record_came_again_is_taken_over_once() -> None:
    world = World(2)
    world.says(claim_of("dead"))
    stand = await world.voice.stand(world.delivery)
    assert stand is not None
    assert (stand.round, stand.after_claim) == (2, "dead")
    world.says(claim_of("quicker", 2))
    assert await world.claim(stand) is None
    assert world.names() == ["requested", "sending", "sending"]


async def test_a_signal_between_reading_and_speaking_does_not_stop_a_take_over() -> None:
    world = World(2)
    world.says(claim_of("dead"))
    stand = await world.voice.stand(world.delivery)
    assert stand is not None
    world.says(said.Sending(occurred_at=NOON, round=1, attempt=1, claim_id="dead", account_id=ACCOUNT))
    claimed = await world.claim(stand)
    assert claimed is not None
    assert claimed.round == 2


async def test_a_claim_is_the_newest_until_somebody_claims_after_it() -> None:
    world = World(1)
    world.says(claim_of("mine"))
    assert await world.voice.is_newest(world.delivery, "mine")
    world.says(claim_of("theirs", 2))
    assert not await world.voice.is_newest(world.delivery, "mine")


async def test_a_release_without_its_email_cannot_be_spoken_for() -> None:
    world = World(1)
    empty = record.Record(
        world.item.workspace,
        world.item.email_id,
        world.item.event_id,
        schedule.Released(occurred_at=NOON, round=2, expires_at=NOON),
        sequence=2,
    )
    with pytest.raises(Unusable):
        await world.voice.stand(Delivery(world.hands, empty, "", 1, 0.0))


async def test_what_nobody_is_at_is_given_back_and_comes_again_soon() -> None:
    world = World(delivered=1)
    await world.voice.give_back(world.delivery, 2.0)
    assert world.hands.settled == [b'-NAK {"delay": 2000000000}']


async def test_what_somebody_else_is_at_is_left_for_coming_again_would_look_like_their_death() -> None:
    world = World(delivered=1)
    world.says(claim_of("theirs"))
    await world.voice.give_back(world.delivery, 2.0)
    assert (world.hands.settled, world.hands.left) == ([], 1)


async def test_what_we_are_at_ourselves_is_given_back() -> None:
    world = World(delivered=1)
    world.says(claim_of("ours"))
    world.voice.own("ours")
    await world.voice.give_back(world.delivery, 0.0)
    assert world.hands.settled == [b'-NAK {"delay": 0}']
