"""Made-up lives of one email: whatever gateway, scheduler and dispatchers may append, in log order.

Two dispatchers may hold it at once: a stalled one says its outcome whenever it wakes up.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from shared.events import delivery, fold, record, schedule, status, submission
from shared.events.base import Event
from tests.controls.emails import ACCOUNT, NOON, a_record, an_email

SEEN = frozenset(
    {"requested", "rescheduled", "cancelled", "deferred", "sent", "failed", "suppressed", "unconfirmed"}
)


class Life:
    """One email's records so far, and what its services may say next."""

    def __init__(self, seed: int, steps: int) -> None:
        self.dice = random.Random(seed)
        self.records: list[record.Record] = []
        self.state = fold.State()
        self._email = an_email(batch_id=self.dice.choice((None, "b")), scheduled_at=self._soon())
        self._claims: list[int] = []
        self._count = 0
        release = self.dice.choice(("now", "turn", "at"))
        self._say(submission.Requested(occurred_at=NOON, release=release, email=self._email))  # type: ignore[arg-type]
        for _ in range(steps):
            self._step()

    def seen(self) -> list[record.Record]:
        """Return the records that come to the scheduler's consumer."""
        return [
            item
            for item in self.records
            if item.event.name in SEEN and item.event.subject_tail() != "requested.now"
        ]

    def causes(self, item: record.Record) -> list[record.Record]:
        """Return the records a scheduler must have seen before this one could be, in log order."""
        before = self.records[: self.records.index(item)]
        releases = [at for at, found in enumerate(before) if isinstance(found.event, schedule.Released)]
        waits = [self._waited_for(at) for at in releases]
        return [found for found in waits if found in self.seen()]

    def _waited_for(self, release: int) -> record.Record:
        """Return the record whose wait the release ended."""
        event = self.records[release].event
        assert isinstance(event, schedule.Released)
        for found in reversed(self.records[:release]):
            if isinstance(found.event, delivery.Deferred) and found.event.round == event.round - 1:
                return found
        return self.records[0]

    def is_waiting(self) -> bool:
        """Say whether the email waits for the scheduler, by the fold that everyone shares."""
        round_, phase, _ = self.state.position
        return not status.is_final(self.state) and (phase == fold.DEFERRED or round_ == 0)

    def due_at(self) -> datetime | None:
        """Return when it is due, while it waits."""
        if self.state.position[1] == fold.DEFERRED:
            return self.state.next_attempt_at
        return self.state.scheduled_at if self.state.release == "at" else NOON

    def _step(self) -> None:
        may = [self._outcome] if self._claims else []
        if self.is_waiting():
            may += [self._release, self._cancel]
        elif not status.is_final(self.state):
            may += self._of_a_holder()
        if status.raw(self.state) == "scheduled":
            may.append(self._reschedule)
        if may:
            self.dice.choice(may)()

    def _of_a_holder(self) -> list[Callable[[], None]]:
        if self.state.claim_round == status.latest_round(self.state):
            return [self._outcome, self._take_over] if self._claims else [self._take_over]
        return [self._claim, self._claim, self._no_slot]

    def _say(self, event: Event) -> None:
        first = self.records[0].email_id if self.records else None
        item = a_record(event, email_id=first, sequence=10 + 3 * len(self.records))
        self.records.append(item)
        fold.apply(self.state, event, item.event_id, item.sequence)

    def _soon(self) -> datetime:
        return NOON + timedelta(minutes=self.dice.randrange(1, 500))

    def _release(self) -> None:
        round_ = status.latest_round(self.state) + 1
        self._say(
            schedule.Released(
                occurred_at=NOON,
                round=round_,
                attempts=status.attempts(self.state),
                expires_at=NOON + timedelta(hours=72),
                email=self._email,
            )
        )

    def _cancel(self) -> None:
        self._say(submission.Cancelled(occurred_at=NOON))

    def _reschedule(self) -> None:
        self._say(
            submission.Rescheduled(
                occurred_at=NOON, scheduled_at=self._soon(), revision=self.state.revision + 1
            )
        )

    def _claim(self) -> None:
        self._sending(status.latest_round(self.state))

    def _take_over(self) -> None:
        self._sending(status.latest_round(self.state) + 1)

    def _sending(self, round_: int) -> None:
        self._claims.append(round_)
        event = delivery.Sending(
            occurred_at=NOON, round=round_, attempt=round_, claim_id=f"claim-{round_}", account_id=ACCOUNT
        )
        self._say(event)

    def _no_slot(self) -> None:
        self._defer(status.latest_round(self.state), None)

    def _outcome(self) -> None:
        """Let any dispatcher with a claim say what came of it, the heir or the stalled one."""
        self._conclude(self._claims.pop(self.dice.randrange(len(self._claims))))

    def _conclude(self, round_: int) -> None:
        if self.dice.random() < 0.6:
            self._defer(round_, f"claim-{round_}")
            return
        kind: Any = self.dice.choice((delivery.Sent, delivery.Failed))
        more = {} if kind is delivery.Sent else {"reason": _reason("550")}
        self._say(kind(occurred_at=NOON, round=round_, claim_id=f"claim-{round_}", **more))

    def _defer(self, round_: int, claim_id: str | None) -> None:
        self._say(
            delivery.Deferred(
                occurred_at=NOON,
                round=round_,
                claim_id=claim_id,
                reason=_reason("450" if claim_id else "no_slot"),
                next_attempt_at=self._soon(),
                expires_at=NOON + timedelta(hours=72),
                attempts=round_,
                email=self._email,
            )
        )


def _reason(code: str) -> delivery.Reason:
    return delivery.Reason(code=code, message=code, category="", retryable=True, suggested_action="")
