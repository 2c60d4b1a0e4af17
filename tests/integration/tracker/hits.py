"""What the tests of hits share: a tracker on a real broker, an email, and what was said of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from shared.events import record, signal
from shared.runtime import keyring, log
from shared.runtime.publisher import Publisher
from shared.runtime.suppressions import Suppressions
from tests.controls import runtime, tracking
from tests.controls.eventually import eventually
from tests.controls.tracking import NOWHERE, TrackerProcess


class Desk(msgspec.Struct):
    """A running tracker and the log beside it."""

    tracker: TrackerProcess
    log: log.Log
    publisher: Publisher
    home: Path

    async def email(self, *to: str, sent: float | None = 3600) -> record.Record:
        """Append an email that was sent so many seconds ago, or not yet."""
        return await tracking.an_email(self.publisher, *to, sent=sent)

    async def said(self, item: record.Record, count: int = 1, within: float = 10.0) -> list[signal.Signal]:
        """Return what came back about an email once so much has."""

        async def enough() -> list[signal.Signal]:
            found = await tracking.signals(self.log, item)
            assert len(found) == count, [event.name for event in found]
            return found

        return await eventually(enough, within=within)

    async def silent(self, *items: record.Record) -> bool:
        """Say whether nothing came back about these, when a hit after them all is in the log."""
        after = await self.email()
        await self.tracker.ask(self.tracker.pixel(after))
        await self.said(after)
        return not [event for item in items for event in await tracking.signals(self.log, item)]

    async def suppressed(self, *addresses: str) -> set[str]:
        """Return which of these the workspace's list has."""
        lists = Suppressions(self.log.client, keyring.load(self.home / "keyring"))
        await lists.open()
        return set(await lists.find("default", addresses))


@asynccontextmanager
async def a_desk(
    home: Path, nats_url: str, database_url: str = NOWHERE, **variables: str
) -> AsyncIterator[Desk]:
    """Run a tracker on a broker for the length of the block."""
    await runtime.bootstrap(nats_url)
    tracker = TrackerProcess(home, nats_url, database_url, **variables).start()
    try:
        await eventually(lambda: tracking.takes(tracker), within=20)
        async with runtime.open_log(nats_url) as (story, publisher):
            yield Desk(tracker, story, publisher, home)
    finally:
        tracker.stop()
