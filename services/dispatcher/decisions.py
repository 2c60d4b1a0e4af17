"""What the dispatcher decides, purely: who may go on after a lost race, and when to try again.

Redelivery proves no death and a conflict proves no rival; only the folded records do.
"""

from collections.abc import Container
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

import msgspec

from shared.events import fold, schedule, status, submission
from shared.events.base import Event
from shared.events.delivery import RecipientResult
from shared.events.email import Email

SCHEDULE: Final = tuple(timedelta(minutes=m) for m in (1, 5, 15, 30, 60, 120, 240))
JITTER: Final = 0.2


class Verdict(Enum):
    """What a dispatcher may do with a record it holds."""

    DONE = auto()  # an outcome, a cancellation or a newer release: nothing is left to do here
    CLAIM = auto()  # nobody has it: a signal or our own stale guard was in the way
    TAKE_OVER = auto()  # its holder left a claim without an outcome
    LEAVE = auto()  # somebody else is at it: not ours, and not to be kept from coming again
    PROCEED = auto()  # the newest claim is our own: only its answer was lost


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder knows of the email it is about to speak for.

    `guard` is the last sequence seen; `results` are those of earlier attempts; `attempts` counts the
    claims made so far; `after_claim` is the claim that is taken over: its holder gave no outcome.
    `suppressed` are recipients found on the suppression list; it was last asked at `checked_at` (monotonic).
    """

    round: int
    guard: int
    attempts: int
    expires_at: datetime
    email: Email
    results: tuple[RecipientResult, ...] = ()
    after_claim: str | None = None
    suppressed: tuple[RecipientResult, ...] = ()
    checked_at: float | None = None

    @property
    def is_bulk(self) -> bool:
        """Whether it is of a batch, which its account's single sends overtake."""
        return self.email.batch_id is not None

    def waiting(self) -> tuple[str, ...]:
        """Return the recipients that neither an earlier attempt nor the suppression list has settled."""
        known = (*self.results, *self.suppressed)
        settled = {result.address for result in known if result.status != "deferred"}
        return tuple(address for address, _ in self.email.recipients() if address not in settled)


class Unusable(Exception):
    """The record can be read, but nothing can be sent by it."""


def first_stand(event: Event, sequence: int) -> Stand:
    """Return what a record says by itself. Raises: Unusable when it carries no email."""
    if isinstance(event, submission.Requested):
        expires_at = event.email.expires_at or event.occurred_at + status.DEADLINE
        return Stand(round=1, guard=sequence, attempts=0, expires_at=expires_at, email=event.email)
    if isinstance(event, schedule.Released) and event.email is not None:
        return Stand(
            round=event.round,
            guard=sequence,
            attempts=event.attempts,
            expires_at=event.expires_at,
            email=event.email,
            results=event.results,
        )
    raise Unusable(f"{event.name} carries no email to send")


def after_reading(state: fold.State, round_: int, *, redelivered: bool, mine: Container[str]) -> Verdict:
    """Return what a holder of a record of `round_` may do, given all records of the email."""
    if status.is_final(state) or state.release_round > round_:
        return Verdict.DONE
    if state.outcome_round >= max(round_, state.claim_round):
        return Verdict.DONE
    if state.claim_id is None or state.claim_round < round_:
        return Verdict.CLAIM
    if state.claim_id in mine:
        return Verdict.PROCEED
    return Verdict.TAKE_OVER if redelivered else Verdict.LEAVE


def later_stand(stand: Stand, state: fold.State, verdict: Verdict) -> Stand:
    """Return the stand after reading: the guard is the last record, a take-over opens a round."""
    if verdict is not Verdict.TAKE_OVER:
        return msgspec.structs.replace(stand, guard=state.sequence)
    return msgspec.structs.replace(
        stand,
        round=status.latest_round(state) + 1,
        guard=state.sequence,
        attempts=status.attempts(state),
        results=status.results(state),
        after_claim=state.claim_id,
    )


def next_attempt(now: datetime, attempts: int, jitter: float, hint: timedelta | None) -> datetime:
    """Return when to try again after `attempts` attempts; `jitter` is within [-1, 1].

    A server's own "try again in N" is kept, a little late and never early.
    """
    if hint is not None:
        return now + hint * (1 + JITTER * abs(jitter) / 2)
    step = SCHEDULE[min(max(attempts, 1), len(SCHEDULE)) - 1]
    return now + step * (1 + JITTER * jitter)
