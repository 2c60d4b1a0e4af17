"""A mailbox that is another tracker's now, or is let go: its session ends, though a cancellation gets lost."""

import asyncio
from typing import Any

import pytest
import structlog

from services.tracker.imap_places import Lost
from services.tracker.imap_reading import Link, Shared
from shared.runtime import process
from tests.controls.eventually import eventually
from tests.unit.tracker.test_imap_unreadable import SERVER


class Deaf(Link):
    """A link whose session swallows its first cancellation, as `asyncio.wait_for` of Python 3.11 does now and then."""

    swallowed = began = ended = False

    async def _session(self) -> None:
        self.began = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.swallowed = True
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


class Holding:
    """Stands for the hold: it is lost once the session runs, or never."""

    def __init__(self, is_lost: bool) -> None:
        self._is_lost = is_lost

    async def keep(self) -> None:
        """Lose it, or keep it for ever."""
        await (asyncio.sleep(0) if self._is_lost else asyncio.Event().wait())
        raise Lost("another tracker reads it")

    async def release(self) -> None:
        """Do nothing."""


def deaf(is_lost: bool) -> Deaf:
    parts: Any = (SERVER, Holding(is_lost), Shared(*(None,) * 3), structlog.get_logger())  # type: ignore[arg-type]
    return Deaf(*parts)


async def test_a_session_whose_hold_is_lost_ends() -> None:
    link = deaf(is_lost=True)
    async with asyncio.timeout(10):
        with pytest.raises(Lost):
            await link._hold()
    assert (link.swallowed, link.ended) == (True, True)


async def test_whoever_ends_the_reading_ends_the_session() -> None:
    link = deaf(is_lost=False)
    reading = asyncio.create_task(link._hold())
    await eventually(lambda: link.began)
    async with asyncio.timeout(10):
        await process.end(reading)
    await eventually(lambda: link.swallowed and link.ended)
