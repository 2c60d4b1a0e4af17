"""Speaking for an email: guarded appends that read, fold and decide again when somebody was first.

Nothing is said twice and nothing is said for an email another holder speaks for.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from services.dispatcher import decisions
from services.dispatcher.decisions import Stand, Verdict
from shared.events import fold, record
from shared.events.base import Event, EventId
from shared.events.delivery import Outcome
from shared.runtime import log as log_
from shared.runtime.delivery import Delivery
from shared.runtime.publisher import Conflict, Publisher, Refused, Unconfirmed

logger = structlog.get_logger(__name__)
TRIES: Final = 50


class Voice:
    """Appends what this dispatcher has to say about the emails whose records it holds."""

    def __init__(self, log: log_.Log, publisher: Publisher) -> None:
        self._log, self._publisher = log, publisher
        self._mine: set[str] = set()

    def own(self, claim_id: str) -> None:
        """Remember a claim of ours while it is in force."""
        self._mine.add(claim_id)

    def disown(self, claim_id: str) -> None:
        """Forget a claim that has its outcome or was left."""
        self._mine.discard(claim_id)

    async def stand(self, delivery: Delivery) -> Stand | None:
        """Return where we stand with a record just taken, or None when it is not ours to speak for.

        A first delivery is taken at its word; one that came again is read and folded first. None means
        that the record has been acked or left. Raises: BrokerUnavailable, Unusable.
        """
        item = delivery.record
        stand = decisions.first_stand(item.event, item.sequence)
        if delivery.delivered == 1:
            return stand
        return await self._read(delivery, stand, may_take_over=True)

    async def say(
        self, delivery: Delivery, stand: Stand, event_id: str, make: Callable[[Stand], Event]
    ) -> Stand | None:
        """Append a guarded event and return the stand it was said from, its guard the new sequence.

        On a conflict the email's records decide whether it may still be said; None means that it may
        not, and the record has been acked or left. A claim met here is younger than our reading of
        the record, so its holder lives: it is never taken over from here.
        Raises: Unconfirmed, BrokerUnavailable.
        """
        for attempt in range(TRIES):
            said = self._record(delivery, event_id, make(stand))
            try:
                sequence = await self._publisher.append(said, guard=stand.guard)
                return msgspec.structs.replace(stand, guard=sequence)
            except Conflict:
                later = await self._read(delivery, stand, may_take_over=False)
                if later is None:
                    return None
                stand = later
                await asyncio.sleep(0.002 * attempt)
        raise Unconfirmed(f"lost {TRIES} races for {delivery.record.email_id}")

    async def tell(self, delivery: Delivery, event_id: str, event: Event) -> None:
        """Append the outcome of a claim; it is a fact, so it is repeated until the log has it."""
        said = self._record(delivery, event_id, event)
        while True:
            try:
                await self._publisher.append(said)
                return
            except Unconfirmed as error:
                logger.warning("outcome_not_in_the_log_yet", email_id=said.email_id, error=str(error))
            except Refused as error:  # a 250 must never lead to a second copy: say it in fewer words
                if not isinstance(event, Outcome) or event.conversation is None:
                    raise
                logger.error("outcome_refused", email_id=said.email_id, error=str(error))
                event = msgspec.structs.replace(event, conversation=None)
                said = said._replace(event=event)

    async def give_back(self, delivery: Delivery, delay: float) -> None:
        """Let a record come again after `delay` seconds, unless somebody else is at its email: then leave it.

        What is given back comes again counted on, which would look like the death of whoever has the claim.
        """
        if delivery.settled:
            return
        item = delivery.record
        try:
            state = fold.fold(await self._log.history(item.workspace, item.email_id))
        except log_.BrokerUnavailable:  # it comes again by itself
            delivery.leave()
            return
        if state.claim_round > state.outcome_round and state.claim_id not in self._mine:
            delivery.leave()
        else:
            await delivery.retry(delay)

    async def is_newest(self, delivery: Delivery, claim_id: str) -> bool:
        """Say whether nobody has claimed the email after this claim. Raises: BrokerUnavailable."""
        item = delivery.record
        return fold.fold(await self._log.history(item.workspace, item.email_id)).claim_id == claim_id

    async def _read(self, delivery: Delivery, stand: Stand, *, may_take_over: bool) -> Stand | None:
        item = delivery.record
        state = fold.fold(await self._log.history(item.workspace, item.email_id))
        original = decisions.first_stand(item.event, item.sequence).round
        known = stand.after_claim is not None and state.claim_id == stand.after_claim
        verdict = decisions.after_reading(
            state, original, redelivered=may_take_over or known, mine=self._mine
        )
        if verdict is Verdict.DONE:
            await delivery.ack()
            return None
        if verdict is Verdict.LEAVE:
            delivery.leave()
            return None
        return decisions.later_stand(stand, state, verdict)

    def _record(self, delivery: Delivery, event_id: str, event: Event) -> record.Record:
        item = delivery.record
        return record.Record(
            item.workspace,
            item.email_id,
            EventId(event_id),
            event,
            causation=item.event_id,
            traceparent=item.traceparent,
        )
