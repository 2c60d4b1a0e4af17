"""A linked mailbox in a real Dovecot: each message is taken once, whatever happens to us, to it or on the way."""

import itertools
import resource
from collections.abc import AsyncIterator, Iterator

import pytest

from services.tracker import imap, imap_places, imap_reading, mime
from services.tracker.imap import ImapFault, Mailbox
from services.tracker.imap_places import Holding, Place
from shared.runtime import topology
from shared.runtime.buckets import Bucket
from shared.runtime.log import BrokerUnavailable, Log
from tests.controls import mailworld
from tests.controls.dovecot import Inbox
from tests.controls.eventually import eventually
from tests.controls.mailworld import MailWorld
from tests.controls.runtime import bootstrap, open_log
from tests.integration.tracker.linking import LOOPBACK, Counted, Taken, a_message, reading

_numbers = itertools.count(1)
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def world() -> Iterator[MailWorld]:
    mailworld.need()
    started = MailWorld()
    yield started
    started.stop()


@pytest.fixture
def inbox(world: MailWorld) -> Inbox:
    return Inbox(world, f"Test {next(_numbers)}")


@pytest.fixture
async def places(clean_nats: str) -> AsyncIterator[Bucket[Place]]:
    await bootstrap(clean_nats)
    async with open_log(clean_nats) as (emails, _):
        bucket = await opened(emails)
        yield bucket
        await bucket.close()


async def opened(emails: Log) -> Bucket[Place]:
    bucket = Bucket(emails.client, topology.IMAP_PLACES, Place)
    await bucket.open()
    return bucket


async def linked(places: Bucket[Place]) -> None:
    await eventually(lambda: has_begun(places), within=10)


def has_begun(places: Bucket[Place]) -> bool:
    place = places.peek("w.a")
    return place is not None and place.validity > 0


async def seen(places: Bucket[Place], uid: int) -> None:
    await eventually(lambda: (place := places.peek("w.a")) is not None and place.uid == uid, within=20)


async def test_what_arrives_is_taken_at_once_and_nothing_is_marked(
    inbox: Inbox, places: Bucket[Place]
) -> None:
    taken = Taken()
    inbox.put(a_message("older than the link"))
    async with reading(inbox.server(), places, taken):
        await linked(places)
        inbox.put(a_message("one"))
        await eventually(lambda: taken.names == ["one"], within=3)
        inbox.put(a_message("two"), a_message("three"))
        await seen(places, 4)
    assert taken.names == ["one", "two", "three"]
    assert taken.raw[0] == a_message("one")
    assert not [flags for flags in inbox.flags() if b"Seen" in flags or b"Deleted" in flags]


async def test_what_came_while_nobody_read_is_taken_and_the_rest_not_again(
    inbox: Inbox, places: Bucket[Place]
) -> None:
    first, second = Taken(), Taken()
    async with reading(inbox.server(), places, first):
        await linked(places)
        inbox.put(a_message("one"))
        await seen(places, 1)
    inbox.put(a_message("two"))
    async with reading(inbox.server(), places, second, "another"):
        await seen(places, 2)
    assert (first.names, second.names) == (["one"], ["two"])


async def test_a_message_that_was_fetched_and_not_taken_comes_again(
    inbox: Inbox, places: Bucket[Place]
) -> None:
    first, second = Taken(), Taken()
    first.stays = True
    async with reading(inbox.server(), places, first):
        await linked(places)
        inbox.put(a_message("one"))
        await eventually(lambda: first.names == ["one"], within=5)
    async with reading(inbox.server(), places, second, "another"):
        await seen(places, 1)
    assert second.names == ["one"]


async def test_our_own_troubles_stop_at_the_message_and_it_comes_again(
    inbox: Inbox, places: Bucket[Place]
) -> None:
    taken = Taken()
    taken.faults = {b"two": [BrokerUnavailable("away"), BrokerUnavailable("away")]}
    async with reading(inbox.server(), places, taken):
        await linked(places)
        inbox.put(a_message("one"), a_message("two"))
        await eventually(lambda: "two" in taken.names, within=20)
        await seen(places, 2)
    assert sorted(set(taken.names)) == ["one", "two"]


async def test_a_message_that_breaks_us_is_passed_over_in_the_end(
    inbox: Inbox, places: Bucket[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_reading, "LONGEST_PAUSE", 0.1)
    taken = Taken()
    taken.faults = {b"evil": [ValueError("x")] * imap_reading.TRIES}
    async with reading(inbox.server(), places, taken):
        await linked(places)
        inbox.put(a_message("evil"), a_message("good"))
        await seen(places, 2)
    assert set(taken.names) == {"good"}


async def test_a_mailbox_that_is_made_anew_is_read_from_its_beginning(
    inbox: Inbox, places: Bucket[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_reading, "IDLE", 1.0)
    taken = Taken()
    async with reading(inbox.server(), places, taken):
        await linked(places)
        inbox.put(a_message("one"), a_message("two"))
        await seen(places, 2)
        before = places.peek("w.a")
        inbox.recreate()
        inbox.put(a_message("three"))
        await eventually(lambda: "three" in taken.names, within=30)
        await seen(places, 1)
    after = places.peek("w.a")
    assert before is not None
    assert after is not None
    assert after.validity != before.validity
    assert taken.names == ["one", "two", "three"]


async def test_a_session_that_ends_in_idle_is_opened_again(inbox: Inbox, places: Bucket[Place]) -> None:
    taken = Taken()
    async with reading(inbox.server(), places, taken):
        await linked(places)
        inbox.put(a_message("one"))
        await seen(places, 1)
        assert inbox.kick()
        inbox.put(a_message("two"))
        await eventually(lambda: taken.names == ["one", "two"], within=10)


async def test_a_message_too_large_is_read_in_its_beginning_only(inbox: Inbox, places: Bucket[Place]) -> None:
    taken = Taken()
    async with reading(inbox.server(), places, taken):
        await linked(places)
        inbox.put(a_message("large", mime.MAX_BYTES + 1000), a_message("small"))
        await seen(places, 2)
    assert taken.names == ["large", "small"]
    assert len(taken.raw[0]) == imap.HEAD


async def test_thousands_of_waiting_messages_are_taken_once_each_in_bounded_memory(
    inbox: Inbox, places: Bucket[Place]
) -> None:
    first, second = Taken(), Taken()
    async with reading(inbox.server(), places, first):
        await linked(places)
    inbox.put(*(a_message(str(number), 2000) for number in range(3_000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    second.raw = Counted()
    async with reading(inbox.server(), places, second):
        await eventually(lambda: len(second.raw) >= 3_000, within=90)
        await seen(places, 3_000)
    assert len(second.raw) == 3_000
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 40, f"{grown:.0f} MB"


async def test_of_two_trackers_one_reads_and_the_other_takes_over(
    inbox: Inbox, places: Bucket[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_places, "RENEW", 0.2)
    first, second = Taken(), Taken()
    async with reading(inbox.server(), places, first, "first"):
        await linked(places)
        async with reading(inbox.server(), places, second, "second") as other:
            inbox.put(a_message("one"))
            await seen(places, 1)
            assert (first.names, second.names) == (["one"], [])
            assert not other.done()
    async with reading(inbox.server(), places, second, "second"):
        inbox.put(a_message("two"))
        await seen(places, 2)
    assert (first.names, second.names) == (["one"], ["two"])


async def test_who_lost_the_hold_moves_the_place_no_more(places: Bucket[Place]) -> None:
    slow, quick = Holding(places, "w.a", "slow"), Holding(places, "w.a", "quick")
    assert await slow.take()
    assert not await quick.take()
    await slow.release()
    assert await quick.take()
    with pytest.raises(imap_places.Lost):
        await slow.write(Place(uid=7))
    found = await places.read("w.a")
    assert found is not None
    assert (found[1].holder, found[1].uid) == ("quick", 0)


@pytest.mark.parametrize(
    ("fields", "step"),
    [
        ({"secret": "canary-wrong"}, "login"),
        ({"auth": "xoauth2"}, "login"),
        ({"tls_ca": None}, "tls"),
        ({"host": "nowhere.invalid"}, "resolve"),
        ({"port": 1}, "connect"),
    ],
)
async def test_what_is_wrong_with_a_mailbox_is_said_by_its_step(
    inbox: Inbox, fields: dict[str, object], step: str
) -> None:
    with pytest.raises(ImapFault) as caught:
        await Mailbox.open(inbox.server(**fields), LOOPBACK)
    assert caught.value.step == step
    assert "canary" not in str(caught.value)


async def test_a_mailbox_in_a_private_network_is_not_connected_to(inbox: Inbox) -> None:
    with pytest.raises(ImapFault, match="loopback"):
        await Mailbox.open(inbox.server(), ())


async def test_a_mailbox_that_is_not_there_is_said(inbox: Inbox) -> None:
    mailbox = await Mailbox.open(inbox.server(mailbox="Nowhere"), LOOPBACK)
    with pytest.raises(ImapFault, match=r"mailbox: .*Nowhere"):
        await mailbox.examine()
    await mailbox.close()


async def test_a_message_that_has_left_is_skipped(inbox: Inbox, places: Bucket[Place]) -> None:
    taken = Taken()
    async with reading(inbox.server(), places, taken):
        await linked(places)
    inbox.put(a_message("one"), a_message("two"), a_message("three"))
    inbox.remove(3)
    inbox.remove(1)
    async with reading(inbox.server(), places, taken):
        await seen(places, 3)
    assert taken.names == ["two"]
