"""Random lives of one email, as the log could hold them: only steps that the guards would have let through.

Claims are taken over, answers arrive rounds too late, a cancellation races a release, recipients fare
differently. What a life knows is kept apart from the fold, so that the fold can be held against it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from shared.events import delivery, schedule, signal, submission
from shared.events.base import EmailId, Event, EventId
from shared.events.delivery import Reason, RecipientResult
from shared.events.record import Record
from tests.controls.emails import ACCOUNT, NOON, WORKSPACE, an_email

Draw = Callable[[st.SearchStrategy[Any]], Any]
RECIPIENTS = ("ann@world.test", "bob@world.test", "cho@world.test")
_TEXTS = ("ok", "no", "later")


def a_reason(code: str, *, retryable: bool = False) -> Reason:
    return Reason(code=code, message=code, category="test", retryable=retryable, suggested_action="none")


@dataclass
class Life:
    """One email on its way; `records` is what the log has, in its order."""

    draw: Draw
    recipients: tuple[str, ...]
    release: submission.Release
    records: list[Record] = field(default_factory=list)
    now: datetime = NOON
    round: int = 0
    attempts: int = 0
    revision: int = 0
    waiting: bool = True
    under_way: str = "queued"  # what it is called as long as nothing ended it
    claim: tuple[int, int, str] | None = None  # the newest, as long as nothing ended it
    lost: list[tuple[int, int, str]] = field(default_factory=list)  # taken over; their answers may still come
    results: dict[str, str] = field(default_factory=dict)
    finals: set[str] = field(default_factory=set)
    signals: list[signal.Signal] = field(default_factory=list)

    def begin(self) -> None:
        scheduled_at = NOON + timedelta(hours=1) if self.release == "at" else None
        email = an_email(*self.recipients, scheduled_at=scheduled_at)
        self._append(submission.Requested(occurred_at=self.now, release=self.release, email=email))
        self.under_way = "scheduled" if self.release == "at" else "queued"
        if self.release == "now":
            self.round, self.waiting = 1, False

    def step(self) -> bool:
        """Let one of the things happen that could happen now; return whether anything could."""
        steps = self._possible()
        if steps:
            self.draw(st.sampled_from(steps))()
        return bool(steps)

    def _possible(self) -> list[Callable[[], None]]:
        steps: list[Callable[[], None]] = []
        if self.lost:
            steps.append(self._late_outcome)
        if self.round:
            steps.append(self._signalled)
        if self.finals:
            return steps
        if self.claim is not None:
            return [*steps, self._outcome, self._outcome, self._unconnected, self._taken_over]
        if not self.results or "sent" not in self.results.values():
            steps.append(self._cancelled)
        if self.waiting:
            steps += [self._released, self._released, self._expired]
            return [*steps, self._rescheduled] if self.round == 0 and self.release == "at" else steps
        return [*steps, self._claimed, self._claimed, self._claimed, self._no_slot, self._refused]

    def _append(self, event: Event) -> None:
        number = len(self.records) + 1
        # Ids do not grow with time: whatever is decided by an id must not look like being decided by order.
        event_id = EventId(f"{(number * 7919) % 1000:03d}-{number}")
        self.records.append(Record(WORKSPACE, EmailId("e"), event_id, event, number))

    def _tick(self) -> datetime:
        # Two events may carry one time: clocks of two machines, or one too coarse.
        self.now += timedelta(seconds=self.draw(st.sampled_from((0, 1, 60))))
        return self.now

    def _rescheduled(self) -> None:
        self.revision += 1
        at = NOON + timedelta(hours=self.draw(st.integers(1, 5)))
        self._append(
            submission.Rescheduled(occurred_at=self._tick(), scheduled_at=at, revision=self.revision)
        )

    def _cancelled(self) -> None:
        self._append(submission.Cancelled(occurred_at=self._tick()))
        self.finals.add("cancelled")

    def _released(self) -> None:
        self.round, self.waiting, self.under_way = self.round + 1, False, "queued"
        at = self._tick()
        self._append(
            schedule.Released(
                occurred_at=at,
                round=self.round,
                attempts=self.attempts,
                expires_at=NOON + timedelta(hours=72),
            )
        )

    def _expired(self) -> None:
        self._append(schedule.Expired(occurred_at=self._tick(), round=self.round, reason=a_reason("expired")))
        self.finals.add("failed")

    def _claimed(self) -> None:
        self.attempts += 1
        self.claim = (self.round, self.attempts, f"claim-{len(self.records) * 31 % 17}")
        self._claim_record(self.claim)

    def _taken_over(self) -> None:
        assert self.claim is not None
        self.lost.append(self.claim)
        self.round, self.attempts = self.round + 1, self.attempts + 1
        self.claim = (self.round, self.attempts, f"claim-{len(self.records) * 31 % 17}")
        self._claim_record(self.claim)

    def _claim_record(self, claim: tuple[int, int, str]) -> None:
        self.under_way = "sending"
        self._append(
            delivery.Sending(
                occurred_at=self._tick(),
                round=claim[0],
                attempt=claim[1],
                claim_id=claim[2],
                account_id=ACCOUNT,
            )
        )

    def _no_slot(self) -> None:
        self._deferred(None, ())
        self.waiting, self.under_way = True, "deferred"

    def _refused(self) -> None:
        kind = self.draw(st.sampled_from(("suppressed", "failed")))
        event = delivery.Suppressed if kind == "suppressed" else delivery.Failed
        self._append(event(occurred_at=self._tick(), round=self.round, reason=a_reason(kind)))
        self.finals.add(kind)

    def _outcome(self) -> None:
        claim, self.claim = self.claim, None
        assert claim is not None
        self.waiting = self._conclude(claim)
        self.under_way = "deferred"

    def _unconnected(self) -> None:
        """End the newest claim without an attempt: there was no session, which is the account's own fault."""
        assert self.claim is not None
        (round_, number, claim_id), self.claim = self.claim, None
        self.attempts -= 1
        self._deferred((round_, number - 1, claim_id), ())
        self.waiting, self.under_way = True, "deferred"

    def _signalled(self) -> None:
        """Let the world say something, at any moment: a scanner opens what is still being sent."""
        at, recipient = self._tick(), self.draw(st.sampled_from((None, *self.recipients)))
        event = self.draw(
            st.sampled_from(
                (
                    signal.Delivered(occurred_at=at, recipient=recipient),
                    signal.Delayed(occurred_at=at, recipient=recipient, reason=a_reason("4.4.1")),
                    signal.Bounced(
                        occurred_at=at, recipient=recipient, kind="soft", reason=a_reason("5.2.2")
                    ),
                    signal.Opened(occurred_at=at, recipient=recipient),
                    signal.Opened(occurred_at=at, recipient=recipient, machine=True, reason="proxy"),
                    signal.Clicked(occurred_at=at, recipient=recipient, url="https://world.test/"),
                    signal.Clicked(occurred_at=at, url="https://world.test/", machine=True, reason="scanner"),
                    signal.Read(occurred_at=at, recipient=recipient),
                    signal.Replied(occurred_at=at, recipient=recipient),
                    signal.AutoReplied(occurred_at=at, recipient=recipient),
                    signal.Complained(occurred_at=at, recipient=recipient),
                    signal.Unsubscribed(occurred_at=at, recipient=recipient),
                )
            )
        )
        self.signals.append(event)
        self._append(event)

    def _late_outcome(self) -> None:
        claim = self.draw(st.sampled_from(self.lost))
        self.lost.remove(claim)
        self._conclude(claim)

    def _conclude(self, claim: tuple[int, int, str]) -> bool:
        """Append what the attempt came to; return whether the email waits for another one."""
        if self.draw(st.integers(0, 9)) == 0:
            event = delivery.Unconfirmed(
                occurred_at=self._tick(),
                round=claim[0],
                attempt=claim[1],
                claim_id=claim[2],
                reason=a_reason("unconfirmed"),
            )
            self._append(event)
            self.finals.add("unconfirmed")
            return False
        results = tuple(self._result(address) for address in self.recipients)
        known = {result.status for result in results}
        if "deferred" in known:
            self._deferred(claim, results)
        elif "sent" in known or "sent" in self.results.values():
            self._settled(delivery.Sent, claim, results)
        else:
            self._settled(delivery.Failed, claim, results, reason=a_reason("550"))
        self._learn(results)
        return "deferred" in known

    def _result(self, address: str) -> RecipientResult:
        kind = self.draw(st.sampled_from(("sent", "deferred", "failed")))
        code = {"sent": 250, "deferred": 450, "failed": 550}[kind]
        return RecipientResult(
            address=address, status=kind, smtp_code=code, text=self.draw(st.sampled_from(_TEXTS))
        )

    def _deferred(self, claim: tuple[int, int, str] | None, results: tuple[RecipientResult, ...]) -> None:
        at = self._tick()
        self._append(
            delivery.Deferred(
                occurred_at=at,
                round=claim[0] if claim else self.round,
                attempt=claim[1] if claim else 0,
                claim_id=claim[2] if claim else None,
                recipients=results,
                reason=a_reason("450" if claim else "no_slot", retryable=True),
                next_attempt_at=at + timedelta(minutes=self.draw(st.integers(1, 30))),
                expires_at=NOON + timedelta(hours=self.draw(st.sampled_from((72, 100)))),
                attempts=self.attempts,
            )
        )

    def _settled(
        self,
        kind: type[delivery.Outcome],
        claim: tuple[int, int, str],
        results: tuple[RecipientResult, ...],
        **more: Any,
    ) -> None:
        self._append(
            kind(
                occurred_at=self._tick(),
                round=claim[0],
                attempt=claim[1],
                claim_id=claim[2],
                recipients=results,
                **more,
            )
        )
        self.finals.add(kind.name)

    def _learn(self, results: tuple[RecipientResult, ...]) -> None:
        rank = {"deferred": 0, "failed": 1, "sent": 2}
        for result in results:
            known = self.results.get(result.address)
            if known is None or rank[result.status] > rank[known]:
                self.results[result.address] = result.status


@st.composite
def lives(draw: Draw, most: int = 14) -> Life:
    """Return the life of one email, up to `most` records long."""
    count = draw(st.integers(1, len(RECIPIENTS)))
    life = Life(draw, RECIPIENTS[:count], draw(st.sampled_from(("now", "turn", "at"))))
    life.begin()
    for _ in range(draw(st.integers(0, most - 1))):
        if not life.step():
            break
    return life
