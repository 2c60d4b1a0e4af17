"""Speaking for an email: guarded appends that read, fold and decide again when somebody was first.

A conflict by itself means nothing: a signal may have landed, or this very release may have been
appended just before its scheduler died. Only the email's records tell.
"""

import asyncio
from datetime import datetime
from typing import Final, NamedTuple

import nats

from services.scheduler import absorbing, decisions, metrics
from services.scheduler.row import Row
from shared.events import record
from shared.events.base import Event
from shared.runtime import log as log_
from shared.runtime import topology
from shared.runtime.publisher import Conflict, Publisher, Unconfirmed

TRIES: Final = 20
WITHIN: Final = 10.0
READERS: Final = 64
BROKER_ERRORS: Final = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError)


class Said(NamedTuple):
    """Records the row does not know yet; `whole` when they are all the log has of the email."""

    records: list[record.Record]
    whole: bool = False


class Voice:
    """Appends what this scheduler has to say about the emails that wait."""

    def __init__(self, log: log_.Log, publisher: Publisher) -> None:
        self._log, self._publisher = log, publisher
        self._readers = asyncio.Semaphore(READERS)
        self.floor = 0

    @property
    def can_speak(self) -> bool:
        """Say whether there is a broker to speak to."""
        return self._log.client.is_connected

    async def learn_floor(self) -> int:
        """Learn and return the log's first sequence: below it all is trimmed. Raises: BrokerUnavailable."""
        try:
            info = await self._log.client.jetstream(timeout=5).stream_info(topology.LOG)
        except BROKER_ERRORS as error:
            raise log_.BrokerUnavailable(f"the log's first sequence: {error!r}") from error
        self.floor = max(self.floor, info.state.first_seq)
        return self.floor

    async def read(self, row: Row, why: str) -> list[record.Record]:
        """Return all records the log has of a row's email. Raises: BrokerUnavailable."""
        metrics.READ.labels(why).inc()
        async with self._readers:
            return await self._log.history(row.workspace, row.email_id)

    async def speak(self, row: Row, now: datetime) -> Said:
        """Append what is due to be said of a waiting row, and return what the row has to absorb.

        Raises: Unconfirmed, BrokerUnavailable: perhaps said, and saying it again is harmless; Refused.
        """
        event = decisions.say(row, now)
        if event is None:
            return Said([])
        if not row.proven:
            return await self._read_and_speak(row, now, "unproven")
        try:
            # What a trimmed lane expects is 0; a floor that is out of date only leads to a conflict.
            guard = row.sequence if row.sequence >= self.floor else 0
            return Said([await self._append(row, event, guard)])
        except Conflict:
            return await self._read_and_speak(row, now, "conflict")

    async def _read_and_speak(self, row: Row, now: datetime, why: str) -> Said:
        for attempt in range(TRIES):
            history = await self.read(row, why)
            later = absorbing.after_reading(row, history)
            event = decisions.say(later, now) if later else None
            if later is None or event is None:
                return Said(history, whole=True)
            try:
                guard = history[-1].sequence if history else 0
                return Said([*history, await self._append(later, event, guard)], whole=True)
            except Conflict:
                await asyncio.sleep(0.002 * attempt)
        raise Unconfirmed(f"lost {TRIES} races for {row.email_id}")

    async def _append(self, row: Row, event: Event, guard: int) -> record.Record:
        said = decisions.as_record(row, event)
        sequence = await self._publisher.append(said, guard=guard, within=WITHIN)
        if event.name == "released":
            metrics.RELEASED.inc()
            metrics.LATENESS.observe((event.occurred_at - row.due_at).total_seconds())
        else:
            metrics.EXPIRED.inc()
        return said._replace(sequence=sequence)

    async def is_dead(self, row: Row) -> bool:
        """Say whether a record of the email was set aside by a service that would have to end it.

        Raises: BrokerUnavailable.
        """
        stream = self._log.client.jetstream(timeout=5)
        for name in (topology.DISPATCHER.name, topology.SCHEDULER.name):
            subject = f"dead.{name}.{record.history_subject(row.workspace, row.email_id)}"
            try:
                await stream.get_last_msg(topology.DEAD_LETTERS, subject)
                return True
            except nats.js.errors.NotFoundError:
                continue
            except BROKER_ERRORS as error:
                raise log_.BrokerUnavailable(f"the dead letters: {error!r}") from error
        return False
