"""The one fold: an email's state out of its events, in any order, any number of times.

Every rule is a maximum or a minimum, so the fold is commutative and idempotent; whoever breaks that
makes histories depend on delivery order. Position is (round, phase): a release is phase 0, a claim 1,
a deferral 2. Final facts are kept side by side and ranked when asked.
"""

import zlib
from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from shared.events import delivery, schedule, signal, submission
from shared.events.base import Event
from shared.events.delivery import Reason, RecipientResult
from shared.events.email import Email
from shared.events.record import Record

RELEASED, CLAIMED, DEFERRED = 0, 1, 2
HITS: Final = 1000  # of an email that is opened more often nobody asks how often exactly
_RECIPIENT_RANK: Final = {"sent": 3, "suppressed": 2, "failed": 1, "deferred": 0}


class Finish(msgspec.Struct, frozen=True, array_like=True):
    """The earliest event of one final kind: when, which event, and why."""

    at: datetime
    event_id: str
    reason: Reason | None = None

    def key(self) -> tuple[datetime, str]:
        """Return what "earliest" means: time, then event id, so that ties fall alike everywhere."""
        return (self.at, self.event_id)


class RecipientState(msgspec.Struct, frozen=True, array_like=True):
    """The best that is known of one recipient, and the round it was said in."""

    round: int
    result: RecipientResult

    def key(self) -> tuple[int, int, str, int]:
        """Return what outranks: the kind of result, then the later round, then any fixed order."""
        result = self.result
        return (_RECIPIENT_RANK[result.status], self.round, result.text or "", result.smtp_code or 0)


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What all events seen so far say about one email. Mutated only by `apply`.

    `sequence` is the highest log sequence folded (the guard for the next record); it is bookkeeping
    and takes no part in equality of meaning. `attempts` is what outcomes have counted: a claim by itself may burn
    none. `opens`, `clicks` and `machine_opens` hold a number made of
    each event's id: counted that way, a repeat counts once. Of each only the smallest HITS are kept, whatever
    order they came in: up to that many the count is exact, and there it stays.
    """

    sequence: int = 0
    created_at: datetime | None = None
    release: str | None = None
    email: Email | None = None
    revision: int = 0
    scheduled_at: datetime | None = None
    position: tuple[int, int, str] = (-1, -1, "")
    reason: Reason | None = None
    next_attempt_at: datetime | None = None
    expires_at: datetime | None = None
    released_at: datetime | None = None
    release_round: int = 0
    claim_round: int = 0
    claim_id: str | None = None
    outcome_round: int = 0
    claimed: tuple[int, ...] = ()
    concluded: tuple[int, ...] = ()
    ambiguous: bool = False
    attempts: int = 0
    recipients: dict[str, RecipientState] = {}
    finals: dict[str, Finish] = {}
    sent_at: datetime | None = None
    signals: dict[str, Finish] = {}
    opens: tuple[int, ...] = ()
    clicks: tuple[int, ...] = ()
    machine_opens: tuple[int, ...] = ()


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier of two times, either of which may be unknown."""
    if one is None or other is None:
        return one or other
    return min(one, other)


def apply(state: State, event: Event, event_id: str, sequence: int = 0) -> State:
    """Fold one event into the state, in place, and return it. Order and repeats do not matter."""
    state.sequence = max(state.sequence, sequence)
    match event:
        case submission.Requested():
            _requested(state, event, event_id)
        case submission.Rescheduled():
            if event.revision > state.revision:
                state.revision, state.scheduled_at = event.revision, event.scheduled_at
        case submission.Cancelled():
            _final(state, "cancelled", event, event_id, CANCELLED)
        case schedule.Released():
            state.release_round = max(state.release_round, event.round)
            state.released_at = earliest(state.released_at, event.occurred_at)
            _move(state, (event.round, RELEASED, event_id), None, None, event.expires_at)
        case schedule.Expired():
            _final(state, "failed", event, event_id, event.reason)
        case delivery.Sending():
            _claimed(state, event, event_id)
        case delivery.Outcome():
            _outcome(state, event, event_id)
        case signal.Signal():
            _signalled(state, event, event_id)
    return state


CANCELLED: Final = Reason(
    code="cancelled",
    category="cancelled",
    message="cancelled by the client before it was sent",
    retryable=False,
    suggested_action="none; submit it again if it should be sent after all",
)


def _requested(state: State, event: submission.Requested, event_id: str) -> None:
    state.created_at = event.occurred_at
    state.release = event.release
    state.email = event.email.without_content()
    if state.revision == 0:
        state.scheduled_at = event.email.scheduled_at
    if event.release == "now":
        state.release_round = max(state.release_round, 1)
        state.released_at = earliest(state.released_at, event.occurred_at)
    _move(state, (state_round(event), RELEASED, event_id), None, None, event.email.expires_at)


def state_round(event: submission.Requested) -> int:
    """Return the round a request opens: 1 when it is its own release, else 0 (it waits)."""
    return 1 if event.release == "now" else 0


def _move(
    state: State,
    position: tuple[int, int, str],
    reason: Reason | None,
    next_attempt_at: datetime | None,
    expires_at: datetime | None,
) -> None:
    if expires_at is not None:  # deadlines only ever move later, so the latest is the one that holds
        state.expires_at = max(state.expires_at or expires_at, expires_at)
    if position > state.position:
        state.position, state.reason, state.next_attempt_at = position, reason, next_attempt_at


def _claimed(state: State, event: delivery.Sending, event_id: str) -> None:
    if (event.round, event.claim_id) > (state.claim_round, state.claim_id or ""):
        state.claim_round, state.claim_id = event.round, event.claim_id
    state.claimed = _with(state.claimed, event.round)
    _move(state, (event.round, CLAIMED, event_id), None, None, None)


def _outcome(state: State, event: delivery.Outcome, event_id: str) -> None:
    state.outcome_round = max(state.outcome_round, event.round)
    state.concluded = _with(state.concluded, event.round)
    state.attempts = max(state.attempts, event.attempt)
    for result in event.recipients:
        _recipient(state, RecipientState(event.round, result))
        if result.status == "sent":
            state.sent_at = earliest(state.sent_at, event.occurred_at)
    if isinstance(event, delivery.Deferred):
        state.ambiguous = state.ambiguous or event.ambiguous
        place = (event.round, DEFERRED, event_id)
        _move(state, place, event.reason, event.next_attempt_at, event.expires_at)
        return
    if isinstance(event, delivery.Sent):
        state.sent_at = earliest(state.sent_at, event.occurred_at)
    reason = None if isinstance(event, delivery.Sent) else getattr(event, "reason", None)
    _final(state, event.name, event, event_id, reason)


def _signalled(state: State, event: signal.Signal, event_id: str) -> None:
    if isinstance(event, signal.Hit):
        _hit(state, event, event_id)
        return
    reason = event.reason if isinstance(event, signal.Bounced) else None
    _signal(state, event.name, Finish(event.occurred_at, event_id, reason))


def _hit(state: State, event: signal.Hit, event_id: str) -> None:
    """Count a hit once; a machine's moves no time, and a click by a person is an opening too."""
    number = zlib.crc32(event_id.encode()) << 31 | zlib.crc32(event_id[::-1].encode()) >> 1
    if event.machine:
        if isinstance(event, signal.Opened):
            state.machine_opens = _among(state.machine_opens, number)
        return
    seen = Finish(event.occurred_at, event_id)
    if isinstance(event, signal.Clicked):
        state.clicks = _among(state.clicks, number)
        _signal(state, "clicked", seen)
    else:
        state.opens = _among(state.opens, number)
    _signal(state, "opened", seen)


def _signal(state: State, kind: str, new: Finish) -> None:
    old = state.signals.get(kind)
    if old is None or new.key() < old.key():
        state.signals = {**state.signals, kind: new}


def _with(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    place = bisect_left(numbers, number)
    if numbers[place : place + 1] == (number,):
        return numbers
    return (*numbers[:place], number, *numbers[place:])


def _among(numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    """Return the smallest HITS of all: which these are depends on no order."""
    if len(numbers) >= HITS and number > numbers[-1]:
        return numbers
    return _with(numbers, number)[:HITS]


def _recipient(state: State, new: RecipientState) -> None:
    old = state.recipients.get(new.result.address)
    if old is None or new.key() > old.key():
        state.recipients = {**state.recipients, new.result.address: new}


def _final(state: State, kind: str, event: Event, event_id: str, reason: Reason | None) -> None:
    new = Finish(event.occurred_at, event_id, reason)
    old = state.finals.get(kind)
    if old is None or new.key() < old.key():
        state.finals = {**state.finals, kind: new}


def fold(records: Iterable[Record], state: State | None = None) -> State:
    """Return the state out of records in any order, continuing from `state` if one is given."""
    state = State() if state is None else state
    for record in records:
        apply(state, record.event, record.event_id, record.sequence)
    return state
