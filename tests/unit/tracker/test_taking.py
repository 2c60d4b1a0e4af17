"""Taking: what is held, judged and appended, with a log of paper and a journal on a real disk."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from services.tracker import taking
from services.tracker.hit import Hit
from services.tracker.journal import Journal
from services.tracker.judging import Known
from services.tracker.remembering import Emails, Key
from services.tracker.taking import Taker
from shared.events import signal
from shared.events.record import Record
from shared.runtime.log import BrokerUnavailable
from shared.runtime.publisher import Publisher, Refused, Unconfirmed
from shared.runtime.suppressions import Suppressions
from tests.controls.eventually import eventually

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Paper:
    """A log that remembers what was appended, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.faults: list[Exception] = []
        self.unknown: set[str] = set()
        self.recipients: tuple[str, ...] = ("ann@world.test",)
        self.problem: str | None = None

    async def append(self, item: Record, *, within: float) -> int:
        if self.faults:
            raise self.faults.pop(0)
        self.records.append(item)
        return len(self.records)

    async def find(self, keys: Collection[Key]) -> dict[Key, Known | None]:
        known = Known(self.recipients, LONG_AGO, False)
        return {key: known for key in keys if key[1] not in self.unknown}

    def names(self) -> list[str]:
        return sorted(item.event_id for item in self.records)


@asynccontextmanager
async def a_taker(directory: Path, paper: Paper) -> AsyncIterator[tuple[Journal, Taker]]:
    journal = Journal(directory)
    journal.start()
    lists = cast(Suppressions, None)
    taker = Taker(cast(Emails, paper), cast(Publisher, paper), lists, journal)
    taker.start()
    try:
        yield journal, taker
    finally:
        await taker.stop(0.1)
        await journal.stop()


@pytest.fixture
def paper() -> Paper:
    return Paper()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "HOLD", 0.1)
    monkeypatch.setattr(taking, "RETRY", 0.05)


def a_hit(name: str, email_id: str = "e", **fields: Any) -> Hit:
    values: dict[str, Any] = {"at": datetime.now(UTC), "url": "https://a.test/", "user_agent": PERSON}
    values = {"kind": "click", "workspace": "acme"} | values
    return Hit(email_id=email_id, event_id=name, **(values | fields))


async def come(journal: Journal, taker: Taker, *hits: Hit) -> None:
    for hit in hits:
        assert await journal.keep(hit)
        taker.hold(hit)


def files(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("hits-*.log")]


async def test_what_memory_has_no_room_for_waits_on_disk_and_comes_once(
    tmp_path: Path, paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST", 10)
    paper.faults = [BrokerUnavailable("away")] * 30
    async with a_taker(tmp_path, paper) as (journal, taker):
        names = [f"{number:03d}" for number in range(100)]
        held = 0
        for name in names:
            hit = a_hit(name)
            await come(journal, taker, hit)
            held += not hit.is_left
        assert held <= 20, "memory grew beyond what it may hold"
        await eventually(lambda: paper.names() == names)
        await come(journal, taker, a_hit("after"))
        assert not journal.leaves
        await eventually(lambda: "after" in paper.names())


async def test_a_wish_that_names_nobody_says_nothing_and_is_done_with(tmp_path: Path, paper: Paper) -> None:
    paper.recipients = ("ann@world.test", "bob@world.test")
    async with a_taker(tmp_path, paper) as (journal, taker):
        hit = a_hit("nobody", kind="one_click", place=None)
        assert await journal.keep(hit)
        await taker.take(hit)
        assert taker._count == 0
        assert paper.names() == []


async def test_a_clock_that_jumps_holds_nothing_longer_or_for_ever(tmp_path: Path, paper: Paper) -> None:
    journal = Journal(tmp_path)
    journal.start()
    hour = timedelta(hours=1)
    for name, at in (("ahead", datetime.now(UTC) + hour), ("behind", datetime.now(UTC) - hour)):
        await journal.keep(a_hit(name, at=at))
    await journal.stop()
    async with a_taker(tmp_path, paper) as (journal, taker):
        await come(journal, taker, a_hit("ahead now", at=datetime.now(UTC) + hour))
        await eventually(lambda: paper.names() == ["ahead", "ahead now", "behind"], within=2)


async def test_links_followed_at_once_are_a_scanners_also_when_they_are_taken_late(
    tmp_path: Path, paper: Paper
) -> None:
    journal = Journal(tmp_path)
    journal.start()
    for name in ("a", "b", "c"):
        await journal.keep(a_hit(name, url=f"https://a.test/{name}"))
    await journal.stop()
    paper.faults = [Unconfirmed("away")] * 4
    async with a_taker(tmp_path, paper):
        await eventually(lambda: len(paper.records) == 3)
    reasons = {item.event.reason for item in paper.records if isinstance(item.event, signal.Hit)}
    assert reasons == {"several links at once"}


async def test_what_the_log_will_never_take_is_let_go(tmp_path: Path, paper: Paper) -> None:
    paper.faults = [Refused("too large")]
    async with a_taker(tmp_path, paper) as (journal, taker):
        await come(journal, taker, a_hit("one"))
        await eventually(lambda: not paper.faults)
        await come(journal, taker, a_hit("two"))
        await eventually(lambda: paper.names() == ["two"])
    assert not files(tmp_path)


async def test_an_email_nobody_can_be_asked_about_keeps_no_other_waiting(
    tmp_path: Path, paper: Paper
) -> None:
    paper.unknown = {"old"}
    async with a_taker(tmp_path, paper) as (journal, taker):
        await come(journal, taker, a_hit("of the old", "old"), a_hit("of the new", "new"))
        await eventually(lambda: paper.names() == ["of the new"])
        paper.unknown = set()
        await eventually(lambda: paper.names() == ["of the new", "of the old"])


async def test_what_is_not_taken_at_the_end_is_taken_at_the_next_start(tmp_path: Path, paper: Paper) -> None:
    paper.problem = "away"
    paper.faults = [Unconfirmed("away")] * 1000
    async with a_taker(tmp_path, paper) as (journal, taker):
        await come(journal, taker, a_hit("one"), a_hit("two"))
        await asyncio.wait_for(taker.stop(5), 2)
    paper.problem, paper.faults = None, []
    async with a_taker(tmp_path, paper):
        await eventually(lambda: paper.names() == ["one", "two"])
    assert not files(tmp_path)
