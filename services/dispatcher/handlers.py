"""Handling a record that leads to sending: hold or defer, claim, transmit, tell, ack.

The claim is in the log before the first SMTP command, and the outcome before the ack: what dies in
between is taken over by whoever gets the record next.
"""

import asyncio
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog

from services.dispatcher import conclusion, decisions, letters, limits, metrics, reasons, unattempted
from services.dispatcher.budget import Budget
from services.dispatcher.conclusion import Claim
from services.dispatcher.decisions import Stand
from services.dispatcher.envelope import Envelope
from services.dispatcher.house import House
from services.dispatcher.lanes import Lane
from services.dispatcher.outcome import Outcome
from services.dispatcher.speaking import Voice
from services.dispatcher.suppressing import Suppressing
from services.dispatcher.tasks import Phase, Tasks
from services.dispatcher.transmitting import transmit
from shared.events import delivery as said
from shared.events import email as email_
from shared.events.delivery import Reason
from shared.mail.address import AddressError
from shared.mail.composing import ComposeError
from shared.runtime import topology
from shared.runtime.content import ContentStore, ContentUnavailable
from shared.runtime.delivery import Delivery
from shared.runtime.log import BrokerUnavailable
from shared.runtime.message import ContentLost
from shared.runtime.publisher import Unconfirmed

logger = structlog.get_logger(__name__)
ACCOUNT_RETRY: Final = timedelta(minutes=5)
CONTENT_RETRY: Final = timedelta(seconds=30)
FAULTS: Final = 12
_OUTCOMES: Final = uuid.UUID("6f0c3a52-8a0e-4a8a-9d53-0d1f6f5b1c11")


class Handlers:
    """Turns records in hand into attempts, one task each."""

    def __init__(self, house: House, voice: Voice, store: ContentStore, suppressing: Suppressing) -> None:
        self._house, self._voice, self._store, self._suppressing = house, voice, store, suppressing
        self._budget = Budget()
        self._tasks = Tasks()

    async def take(self, batch: list[Delivery]) -> None:
        """Begin with every record; each is settled by its own task."""
        for delivery in batch:
            self._tasks.begin(self._guarded(delivery))

    async def stop(self, grace: float) -> None:
        """Give back what is not claimed, finish what is within `grace` seconds, and never cut off a final dot.

        Call after the consumer has stopped taking. A claim that was not transmitted is concluded.
        """
        await self._tasks.stop(grace)

    async def _guarded(self, delivery: Delivery) -> None:
        """Handle one record; what is our own fault is logged once and the record comes again."""
        item = delivery.record
        try:
            await self._handle(delivery)
        except asyncio.CancelledError:
            await self._voice.give_back(delivery, 0)
            raise
        except decisions.Unusable as error:
            await delivery.set_aside(error)
        except (Unconfirmed, BrokerUnavailable, ContentUnavailable) as error:
            logger.warning("will_come_again", email_id=item.email_id, error=str(error))
            await self._voice.give_back(delivery, 2.0 ** min(delivery.delivered, 6))
        except Exception as error:
            logger.exception("handling_failed", email_id=item.email_id, nats_sequence=item.sequence)
            # What will never work must not keep the log from being trimmed.
            if delivery.delivered >= FAULTS:
                await delivery.set_aside(error)
            else:
                await self._voice.give_back(delivery, 2.0 ** min(delivery.delivered, 8))

    async def _handle(self, delivery: Delivery) -> None:
        stand = await self._voice.stand(delivery)
        if stand is None:
            return
        lane = await self._house.lane(delivery.record.workspace, stand.email.account_id)
        # What was released has had its turn: the scheduler gives no more than an account gets done.
        unasked = delivery.record.event.name == "requested"
        left = topology.DISPATCHER.in_flight - len(self._tasks)
        if unasked and not stand.after_claim and lane.unasked >= lane.may_hold(left):
            await self._defer(delivery, stand, reasons.NO_SLOT, timedelta(0))
            return
        lane.held += 1
        lane.unasked += unasked
        try:
            if not (
                await self._ended(delivery, stand, lane) or await self._left_alone(delivery, stand, lane)
            ):
                stand = await self._suppressing.checked(delivery.record.workspace, stand)
                await self._attempt(delivery, stand, lane)
        finally:
            lane.held -= 1
            lane.unasked -= unasked
            lane.used_at = _monotonic()

    async def _ended(self, delivery: Delivery, stand: Stand, lane: Lane) -> bool:
        """Say what needs no attempt: a dead holder's email that may be sent already, expired, no account."""
        if stand.after_claim and lane.account and lane.account.ambiguity == "at_most_once":
            await self._settle(
                delivery, stand, lambda s: unattempted.unconfirmed(s, reasons.HOLDER_DIED, _now())
            )
        elif _now() >= stand.expires_at:
            await self._settle(delivery, stand, lambda s: unattempted.failed(s, reasons.EXPIRED, _now()))
        elif lane.account is None:
            await self._defer(delivery, stand, reasons.ACCOUNT_DELETED, ACCOUNT_RETRY)
        elif lane.account.disabled:
            await self._defer(delivery, stand, reasons.ACCOUNT_DISABLED, ACCOUNT_RETRY)
        elif not lane.secret_readable:
            await self._defer(delivery, stand, reasons.SECRET_UNREADABLE, ACCOUNT_RETRY)
        else:
            return False
        return True

    async def _left_alone(self, delivery: Delivery, stand: Stand, lane: Lane) -> bool:
        """Leave an account alone whose server does not answer."""
        if lane.breaker.allows(_monotonic()):
            return False
        wait = timedelta(seconds=max(1.0, lane.breaker.retry_at - _monotonic()))
        await self._defer(delivery, stand, reasons.breaker_open(lane.last_error), wait)
        return True

    async def _attempt(self, delivery: Delivery, stand: Stand, lane: Lane) -> None:
        if await self._nobody_waits(delivery, stand):
            return
        await lane.enter(bulk=stand.is_bulk)
        try:
            await lane.until_shared(stand.expires_at)
            async with self._budget.room(stand.email, lane.memory) as read:
                content = await letters.content_of(stand.email, self._store)
                await self._claim_and_send(delivery, stand, lane, content, read)
        except ContentLost as error:
            logger.error("content_lost", email_id=delivery.record.email_id, error=str(error))
            await self._settle(delivery, stand, lambda s: unattempted.failed(s, reasons.CONTENT_LOST, _now()))
        except (ComposeError, AddressError) as error:
            logger.error("not_composed", email_id=delivery.record.email_id, error=str(error))
            await self._settle(delivery, stand, lambda s: unattempted.failed(s, reasons.NOT_COMPOSED, _now()))
        finally:
            lane.leave()

    async def _nobody_waits(self, delivery: Delivery, stand: Stand) -> bool:
        """Say that whoever still waited is suppressed, if that is so."""
        if stand.waiting():
            return False
        await self._settle(delivery, stand, lambda s: unattempted.suppressed(s, _now()))
        return True

    async def _claim_and_send(
        self, delivery: Delivery, stand: Stand, lane: Lane, content: email_.Content, read: Callable[[], None]
    ) -> None:
        # Again, for the queue may have been long: nothing expired or disabled leaves.
        lane = await self._house.lane(delivery.record.workspace, stand.email.account_id)
        if await self._ended(delivery, stand, lane) or (account := lane.account) is None:
            return
        signer = self._house.signer(account, stand.email.from_.address)
        try:
            slot = await lane.limiter.slot(account.limits, bulk=stand.is_bulk)
        except limits.Full as full:
            await self._defer(delivery, stand, reasons.rate_limited(full.limit), full.wait(_now()))
            return
        stand = await self._suppressing.checked(delivery.record.workspace, stand)
        if await self._nobody_waits(delivery, stand):
            return
        origin = self._house.origin(delivery.record.workspace, delivery.record.email_id)
        envelope = letters.envelope(stand.email, content, stand.waiting(), origin, self._store, signer)
        claim_id = uuid.uuid4().hex
        self._voice.own(claim_id)
        try:
            self._tasks.reached(Phase.CLAIMING)
            claimed = await self._voice.say(
                delivery, stand, claim_id, lambda s: unattempted.sending(s, claim_id, _now())
            )
            if claimed is not None:
                delivery.claimed(_monotonic())
                at_most_once = account.ambiguity == "at_most_once"
                claim = Claim(
                    claim_id=claim_id, attempt=claimed.attempts + 1, stand=claimed, at_most_once=at_most_once
                )
                await self._send(delivery, lane, claim, envelope, slot, read)
        finally:
            self._voice.disown(claim_id)

    async def _send(
        self,
        delivery: Delivery,
        lane: Lane,
        claim: Claim,
        envelope: Envelope,
        slot: limits.Slot,
        read: Callable[[], None],
    ) -> None:
        """Do what the claim says, or say that it was not done: it is in the log."""

        def still_ours() -> bool:
            ours = delivery.is_held_safely(_monotonic())
            if ours:
                self._tasks.reached(Phase.DOTTED)
                read()
            return ours

        try:
            self._tasks.reached(Phase.CLAIMED)
            to = letters.addressed(envelope, claim.stand.waiting())
            outcome = await transmit(lane, to, slot.keep, still_ours, bulk=claim.stand.is_bulk)
            await self._conclude(delivery, lane, claim, outcome)
        except asyncio.CancelledError:  # we are stopping, and the final dot has not left
            await self._give_up(delivery, claim, reasons.STOPPING, timedelta(0))
            raise
        except limits.Full as full:  # nor here: its slot has passed, and there is no other soon
            await self._give_up(delivery, claim, reasons.rate_limited(full.limit), full.wait(_now()))
        except ContentUnavailable as error:  # nor has it here, and it is nobody's fault but ours
            logger.warning("content_unavailable", email_id=delivery.record.email_id, error=str(error))
            await self._give_up(delivery, claim, reasons.CONTENT_UNAVAILABLE, CONTENT_RETRY)

    async def _give_up(self, delivery: Delivery, claim: Claim, reason: Reason, wait: timedelta) -> None:
        """Conclude a claim of ours that was never transmitted, so that nobody has to guess."""
        event = unattempted.deferred(claim.stand, reason, wait, _now())
        event = msgspec.structs.replace(event, claim_id=claim.claim_id)
        await self._voice.tell(delivery, _outcome_id(claim.claim_id), event)
        await self._let_go(delivery, event, claim.claim_id)

    async def _conclude(self, delivery: Delivery, lane: Lane, claim: Claim, outcome: Outcome) -> None:
        self._tasks.reached(Phase.DOTTED)  # what is known is told, whatever stops us
        if outcome.error_kind == "aborted":  # somebody else may have it: no word, no ack
            logger.warning("hold_lapsed", email_id=delivery.record.email_id)
            delivery.leave()
            return
        if outcome.error_kind == "no_session":  # nothing was sent, and everybody knows it
            await self._give_up(delivery, claim, reasons.NO_SLOT, timedelta(0))
            return
        if outcome.error_kind == "content_lost":
            logger.error("content_lost", email_id=delivery.record.email_id, error=outcome.error)
        wait = timedelta(seconds=lane.leave_alone(_monotonic()))
        event = conclusion.conclude(claim, outcome, _now(), random.uniform(-1, 1), wait)
        await self._suppressing.add(delivery.record.workspace, conclusion.gone(claim, outcome))
        lane.finished()
        metrics.ATTEMPTS.labels(event.name).inc()
        await self._voice.tell(delivery, _outcome_id(claim.claim_id), event)
        await self._let_go(delivery, event, claim.claim_id)

    async def _let_go(self, delivery: Delivery, event: said.Outcome, claim_id: str) -> None:
        """Ack, unless somebody may have taken over: their claim needs the record if they die."""
        safely = delivery.is_held_safely(_monotonic())
        if isinstance(event, said.Deferred):  # it ends nothing, so a newer claim is still open
            safely = safely and await self._voice.is_newest(delivery, claim_id)
        if safely:
            await delivery.ack()
        else:
            delivery.leave()

    async def _defer(self, delivery: Delivery, stand: Stand, reason: Reason, wait: timedelta) -> None:
        metrics.DEFERRED.labels(reason.code).inc()
        await self._settle(delivery, stand, lambda s: unattempted.deferred(s, reason, wait, _now()))

    async def _settle(self, delivery: Delivery, stand: Stand, make: Callable[[Stand], said.Outcome]) -> None:
        """Say what was decided without an attempt, then ack."""
        if await self._voice.say(delivery, stand, uuid.uuid4().hex, make) is not None:
            await delivery.ack()


def _outcome_id(claim_id: str) -> str:
    return str(uuid.uuid5(_OUTCOMES, claim_id))


def _now() -> datetime:
    return datetime.now(UTC)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
