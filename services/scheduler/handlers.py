"""Handling a batch of records: into the table in one transaction, then acked.

With the database away the batch stays in hand, its heartbeats go on, and it is tried again; nothing
is acked that is not committed.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from services.scheduler import book, decisions, store
from services.scheduler.agenda import Agenda
from services.scheduler.book import Change
from services.scheduler.flow import Flow
from services.scheduler.row import Key, Lane
from services.scheduler.store import Hold, Store
from shared.events import delivery
from shared.events.record import Record
from shared.runtime.consumer import Consumer
from shared.runtime.delivery import Delivery
from shared.runtime.log import BrokerUnavailable, Log

logger = structlog.get_logger(__name__)
BACKOFF: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
READERS: Final = 64


class Handlers:
    """Takes records in; `flow` counts what each account gets done."""

    def __init__(self, table: Store, log: Log, agenda: Agenda, flow: Flow) -> None:
        self._store, self._log, self._agenda, self._flow = table, log, agenda, flow
        self.consumer: Consumer | None = None

    async def take(self, batch: list[Delivery]) -> None:
        """Commit a batch, then ack it. Waits for the database as long as it takes."""
        attempt = 0
        batch = await self._without_poison(batch)
        while batch:
            try:
                await self._commit_or_bisect(batch)
                return
            except (*store.UNAVAILABLE, BrokerUnavailable) as error:
                logger.warning("batch_waits", records=len(batch), problem=str(error) or repr(error))
                await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt += 1
                batch = [item for item in batch if not item.settled]

    async def _without_poison(self, batch: list[Delivery]) -> list[Delivery]:
        good = []
        for item in batch:
            try:
                decisions.check(item.record)
                good.append(item)
            except decisions.Unusable as why:
                await self._set_aside(item, why)
        return good

    async def _commit_or_bisect(self, batch: list[Delivery]) -> None:
        try:
            await self._commit([item.record for item in batch])
        except store.UNACCEPTABLE as why:
            if len(batch) == 1:
                await self._set_aside(batch[0], why)
                return
            middle = len(batch) // 2
            await self._commit_or_bisect(batch[:middle])
            await self._commit_or_bisect(batch[middle:])
            return
        for item in batch:
            await item.ack()

    async def _commit(self, records: Sequence[Record]) -> None:
        items = _by_email(records)
        async with self._store.transaction() as tx:
            absorbed = await book.absorb(tx, items)
            await tx.hold(holds(records))
        self._tell(absorbed.changes, items)
        for start in range(0, len(absorbed.lacking), READERS):
            some = absorbed.lacking[start : start + READERS]
            await self._commit_histories({key: items[key] for key in some})

    async def _commit_histories(self, items: dict[Key, list[Record]]) -> None:
        """Make missing rows out of everything the log has of their emails."""

        async def read(key: Key) -> list[Record]:
            history = await self._log.history(*key)
            known = {item.sequence for item in history}
            missing = [item for item in items[key] if item.sequence not in known]
            return sorted([*history, *missing], key=lambda item: item.sequence)

        histories = await asyncio.gather(*(read(key) for key in items))
        async with self._store.transaction() as tx:
            absorbed = await book.absorb(tx, dict(zip(items, histories, strict=True)), whole=True)
        self._tell(absorbed.changes, items)

    def _tell(self, changes: Sequence[Change], items: dict[Key, list[Record]]) -> None:
        for change in changes:
            ended = sum(_ends_attempt(item) for item in items[change.new.key])
            if ended and change.old is not None:
                self._flow.ended(change.old.lane, ended)
        book.tell(self._agenda, changes)

    async def _set_aside(self, item: Delivery, why: Exception) -> None:
        assert self.consumer is not None
        await self.consumer.set_aside(item, why)


def holds(records: Sequence[Record]) -> list[Hold]:
    """Return the holds these records put on accounts, one an account."""
    found: dict[Lane, Hold] = {}
    for item in records:
        event = item.event
        if not isinstance(event, delivery.Deferred) or event.reason.code not in decisions.HOLDING:
            continue
        assert event.email is not None
        lane = Lane(item.workspace, event.email.account_id)
        hold = Hold(lane=lane, until=event.next_attempt_at, since=event.occurred_at, code=event.reason.code)
        known = found.get(lane)
        if known is None or (hold.until, hold.since) > (known.until, known.since):
            found[lane] = hold
    return list(found.values())


def _by_email(records: Sequence[Record]) -> dict[Key, list[Record]]:
    items: dict[Key, list[Record]] = {}
    for item in sorted(records, key=lambda item: item.sequence):
        items.setdefault(Key(item.workspace, item.email_id), []).append(item)
    return items


def _ends_attempt(item: Record) -> bool:
    return isinstance(item.event, delivery.Outcome) and item.event.claim_id is not None
