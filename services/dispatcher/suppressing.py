"""Which recipients must not be written to: asked at sending, and added when a next hop proves an address gone.

All who ask at the same time share one question, so a batch of records costs one read whatever the lists hold; no
answer is older than its question, and none is used for long. Who cannot ask does not send.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec
import structlog

from services.dispatcher import metrics
from services.dispatcher.decisions import Stand
from shared.events.delivery import RecipientResult
from shared.runtime.log import BrokerUnavailable
from shared.runtime.suppressions import Cause, Entry, Place

logger = structlog.get_logger(__name__)
FRESH_FOR: Final = 0.5  # seconds; a record that waited longer for its slot asks again before its claim
ADD_WITHIN: Final = 5.0
ADD_AGAIN: Final = 0.5
ADD_TRIES: Final = 240  # two minutes of them


class Lists(Protocol):
    """The suppression lists as far as a dispatcher needs them."""

    async def find_all(self, places: Iterable[Place]) -> dict[Place, Entry]:
        """Return the entries of what is suppressed. Raises: BrokerUnavailable."""

    async def add(
        self, workspace: str, email: str, reason: Cause, detail: str | None = None
    ) -> tuple[Entry, bool]:
        """Return the address's entry and whether it is new. Raises: BrokerUnavailable."""


class Suppressing:
    """Asks for many records at once: while one question is out, the next ones gather."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._gathering: asyncio.Task[dict[Place, Entry]] | None = None
        self._places: set[Place] = set()
        self._out = asyncio.Lock()
        self._adding: set[asyncio.Task[None] | None] = set()

    async def checked(self, workspace: str, stand: Stand) -> Stand:
        """Return the stand knowing which of its waiting recipients are suppressed now.

        Raises: BrokerUnavailable when that cannot be known.
        """
        now = asyncio.get_running_loop().time()
        if stand.checked_at is not None and now - stand.checked_at < FRESH_FOR:
            return stand
        found = await self._ask(workspace, stand.waiting())
        if found:
            metrics.SUPPRESSED.inc(len(found))
        return msgspec.structs.replace(stand, checked_at=now, suppressed=(*stand.suppressed, *found))

    async def add(self, workspace: str, gone: Iterable[tuple[str, str]]) -> None:
        """Put (address, what the server said) on the list, before anybody is told of the refusal. Never raises.

        What the server has answered must get into the log, whatever becomes of a list: one that takes nothing for
        five seconds is gone on with in the background, and a fault is said loudly.
        """
        adding = {asyncio.create_task(self._add(workspace, email, detail)) for email, detail in gone}
        if adding:
            self._adding |= adding
            await asyncio.wait(adding, timeout=ADD_WITHIN)

    async def _add(self, workspace: str, email: str, detail: str) -> None:
        task = asyncio.current_task()
        try:
            for _ in range(ADD_TRIES):
                try:
                    await self._lists.add(workspace, email, "bounce", detail)
                    return
                except BrokerUnavailable as error:
                    logger.warning("not_suppressed_yet", workspace=workspace, error=str(error))
                    await asyncio.sleep(ADD_AGAIN)
            logger.error("not_suppressed", workspace=workspace, detail=detail)
        except Exception:
            logger.exception("not_suppressed", workspace=workspace, detail=detail)
        finally:
            self._adding.discard(task)

    async def _ask(self, workspace: str, addresses: Iterable[str]) -> list[RecipientResult]:
        places = [(workspace, address) for address in addresses]
        self._places.update(places)
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._question(), name="suppressions")
            self._gathering.add_done_callback(_note)  # whoever asked may have been stopped meanwhile
        found = await asyncio.shield(self._gathering)
        return [_result(place[1], found[place]) for place in places if place in found]

    async def _question(self) -> dict[Place, Entry]:
        """Ask for everybody who has come by the time the question before this one is answered."""
        async with self._out:
            await asyncio.sleep(0)  # a batch's records all begin in the same turn of the loop
            places, self._places, self._gathering = self._places, set(), None
            metrics.QUESTIONS.inc()
            return await self._lists.find_all(places)


def _note(task: "asyncio.Task[dict[Place, Entry]]") -> None:
    if not task.cancelled():
        task.exception()


def _result(address: str, entry: Entry) -> RecipientResult:
    why = f": {entry.detail}" if entry.detail else ""
    text = f"on the suppression list since {entry.created_at:%Y-%m-%d} ({entry.reason}{why})"
    return RecipientResult(address=address, status="suppressed", category="suppressed", text=text[:500])
