"""Releasing: whoever has an account's lane locked releases what is due of it, within credit and pace.

The lane is locked while the releases are appended, and they are written into the table before it is
let go, so no two schedulers spend the same credit. What a crash leaves half done the log's guards
settle: a row that still waits meets its own release.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog

from services.scheduler import book, credit, settling, store
from services.scheduler.agenda import Agenda
from services.scheduler.credit import Grant, Standing
from services.scheduler.flow import Flow
from services.scheduler.row import Lane
from services.scheduler.settling import Settled
from services.scheduler.speaking import Voice
from services.scheduler.store import Store, Transaction
from shared.runtime import process

logger = structlog.get_logger(__name__)
WORKERS: Final = 2
LANES: Final = 32
ROWS: Final = 512
# An account without credit is freed by its outcomes; this is for those another scheduler has seen.
LOOK_AGAIN: Final = 1.0
# A hold is looked at again in between, for clocks jump and accounts change.
REST_AT_MOST: Final = 60.0
TAKEN: Final = 0.05


class Outlook(NamedTuple):
    """When to look at a lane again, and how many seconds to leave it alone before that."""

    at: datetime | None
    rest: float = 0.0


class Releaser:
    """A few workers that take lanes from the agenda, each round in one transaction."""

    def __init__(
        self, table: Store, voice: Voice, agenda: Agenda, flow: Flow, clock: Callable[[], datetime]
    ) -> None:
        self._store, self._voice, self._agenda, self._flow = table, voice, agenda, flow
        self._clock = clock
        self._known: set[Lane] = set()
        self._workers: list[asyncio.Task[None]] = []
        self._rounds: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin releasing."""
        self._workers = [
            asyncio.create_task(self._work(), name=f"release-{number}") for number in range(WORKERS)
        ]

    async def stop(self, grace: float) -> None:
        """Begin no further round; those under way have `grace` seconds."""
        await process.end(*self._workers)
        if self._rounds:
            await asyncio.wait(self._rounds, timeout=grace)
        await process.end(*self._rounds)

    async def _work(self) -> None:
        while True:
            lanes = await self._agenda.take(LANES)
            round_ = asyncio.create_task(self._guarded(lanes))
            self._rounds.add(round_)
            round_.add_done_callback(self._rounds.discard)
            await asyncio.shield(round_)

    async def _guarded(self, lanes: list[Lane]) -> None:
        """Run one round; whatever goes wrong, its lanes are looked at again."""
        try:
            if self._voice.can_speak:
                await self._round(lanes)
        except store.UNAVAILABLE as error:
            logger.warning("releases_wait", lanes=len(lanes), problem=str(error) or repr(error))
        except Exception:
            logger.exception("round_failed", lanes=len(lanes))
        finally:
            self._agenda.give_back(lanes, LOOK_AGAIN)

    async def _round(self, lanes: list[Lane]) -> None:
        now = self._clock()
        await self._make_known(lanes)
        async with self._store.transaction() as tx:
            standings = await tx.lock_lanes(lanes)
            grants = {lane: self._grant(lane, standing, now) for lane, standing in standings.items()}
            await tx.lift(self._lifted(standings))
            quotas = {lane: min(grant.count, max(1, ROWS // len(lanes))) for lane, grant in grants.items()}
            fetched = await _fetch(tx, quotas, now)
            settled = await settling.settle(tx, self._voice, fetched, now)
            await tx.pace(self._slots(standings, settled.released, now))
            counts = _count_lanes(fetched)
            exhausted = [lane for lane, quota in quotas.items() if counts.get(lane, 0) < quota]
            next_due = await tx.next_due(exhausted)
        book.tell(self._agenda, settled.changes)
        for lane in lanes:
            outlook = Outlook(now, TAKEN)  # another scheduler has it
            if lane in grants:
                outlook = _outlook(lane, grants[lane], counts.get(lane, 0), quotas[lane], settled, now)
            if lane in exhausted and lane not in settled.unsaid:
                outlook = Outlook(next_due.get(lane))
            self._agenda.done(lane, at=outlook.at, rest=outlook.rest)

    async def _make_known(self, lanes: Iterable[Lane]) -> None:
        new = [lane for lane in lanes if lane not in self._known]
        if new:
            await self._store.add_lanes(new)
            self._known.update(new)

    def _grant(self, lane: Lane, standing: Standing, now: datetime) -> Grant:
        return credit.grant(standing, self._flow.account(lane), self._flow.finished(lane), now)

    def _lifted(self, standings: Mapping[Lane, Standing]) -> dict[Lane, datetime]:
        lifted = {}
        for lane, standing in standings.items():
            account = self._flow.account(lane)
            if account is not None and credit.is_lifted(standing, account):
                lifted[lane] = account.updated_at
        return lifted

    def _slots(
        self, standings: Mapping[Lane, Standing], released: Mapping[Lane, int], now: datetime
    ) -> dict[Lane, datetime]:
        """Return the next free moments of the lanes that have a rate and released something."""
        slots = {}
        for lane, count in released.items():
            account = self._flow.account(lane)
            if account is not None and account.limits.interval:
                slots[lane] = credit.next_slot(standings[lane].next_at, account, count, now)
        return slots


async def _fetch(tx: Transaction, quotas: Mapping[Lane, int], now: datetime) -> list[Any]:
    """Return what is due within the quotas, single sends before bulk."""
    single = await tx.due(quotas, now, bulk=False)
    counts = _count_lanes(single)
    left = {lane: quota - counts.get(lane, 0) for lane, quota in quotas.items()}
    return [*single, *await tx.due(left, now, bulk=True)]


def _count_lanes(fetched: Iterable[Any]) -> dict[Lane, int]:
    counts: dict[Lane, int] = {}
    for values in fetched:
        lane = Lane(values[0], values[2])
        counts[lane] = counts.get(lane, 0) + 1
    return counts


def _outlook(lane: Lane, grant: Grant, fetched: int, quota: int, settled: Settled, now: datetime) -> Outlook:
    """Return when to look again at a lane that may have more than it was granted."""
    if lane in settled.unsaid:
        return Outlook(now, LOOK_AGAIN)
    if fetched and quota < grant.count:  # the round was full, not the credit
        return Outlook(now)
    if grant.rest is not None:
        return Outlook(now, min(grant.rest.total_seconds(), REST_AT_MOST))
    return Outlook(now, LOOK_AGAIN)
