"""Every status with the history that leads to it, and what is told about it."""

from datetime import timedelta
from typing import Any

import pytest

from shared.events import delivery, fold, schedule, status, submission
from shared.events.base import Event
from shared.events.delivery import RecipientResult
from tests.controls.emails import ACCOUNT, NOON, a_record, an_email
from tests.unit.events.lives import a_reason

HOUR = timedelta(hours=1)
TOMORROW = NOON + timedelta(days=1)
NO_SLOT, BUSY, NO_USER = a_reason("no_slot", retryable=True), a_reason("450", retryable=True), a_reason("550")


def requested(release: submission.Release = "now", *to: str, **fields: Any) -> Event:
    return submission.Requested(occurred_at=NOON, release=release, email=an_email(*to, **fields))


def released(round: int, at: Any = NOON + HOUR) -> Event:
    return schedule.Released(occurred_at=at, round=round, expires_at=NOON + timedelta(hours=72))


def sending(round: int, attempt: int = 1) -> Event:
    return delivery.Sending(
        occurred_at=NOON, round=round, attempt=attempt, claim_id=f"c{round}", account_id=ACCOUNT
    )


def deferred(round: int, reason: delivery.Reason = BUSY, *results: RecipientResult) -> Event:
    return delivery.Deferred(
        occurred_at=NOON,
        round=round,
        reason=reason,
        next_attempt_at=NOON + HOUR,
        expires_at=NOON + timedelta(hours=72),
        recipients=results,
    )


def sent(round: int, *results: RecipientResult) -> Event:
    return delivery.Sent(occurred_at=NOON, round=round, claim_id=f"c{round}", recipients=results)


def failed(round: int) -> Event:
    return delivery.Failed(occurred_at=NOON, round=round, reason=NO_USER)


def expired(round: int) -> Event:
    return schedule.Expired(occurred_at=NOON, round=round, reason=a_reason("expired"))


def unconfirmed(round: int) -> Event:
    return delivery.Unconfirmed(occurred_at=NOON, round=round, reason=a_reason("unconfirmed"))


def suppressed() -> Event:
    return delivery.Suppressed(occurred_at=NOON, round=1, reason=a_reason("suppressed"))


def cancelled() -> Event:
    return submission.Cancelled(occurred_at=NOON)


def moved(revision: int, hours: int) -> Event:
    at = NOON + timedelta(hours=hours)
    return submission.Rescheduled(occurred_at=NOON, scheduled_at=at, revision=revision)


def result(name: str, kind: Any, code: int) -> RecipientResult:
    return RecipientResult(address=f"{name}@world.test", status=kind, smtp_code=code)


def state(*events: Event) -> fold.State:
    return fold.fold([a_record(event, email_id="e", sequence=n) for n, event in enumerate(events, 1)])


SCHEDULED = requested("at", scheduled_at=TOMORROW)
ANN, BOB_WAITS, BOB_FAILED = (
    result("ann", "sent", 250),
    result("bob", "deferred", 450),
    result("bob", "failed", 550),
)
BOTH = requested("now", "ann@world.test", "bob@world.test")

TABLE: list[tuple[str, list[Event], str, str, str | None]] = [
    ("just requested", [requested()], "queued", "queued", None),
    ("waits for its account's turn", [requested("turn")], "queued", "queued", None),
    ("waits for its time", [SCHEDULED], "scheduled", "scheduled", None),
    ("moved to another time", [SCHEDULED, moved(1, 5)], "scheduled", "scheduled", None),
    ("its time has come", [SCHEDULED, released(1)], "queued", "queued", None),
    ("its turn has come", [requested("turn"), released(1)], "queued", "queued", None),
    ("claimed", [requested(), sending(1)], "sending", "sending", None),
    ("claimed after its time", [SCHEDULED, released(1), sending(1)], "sending", "sending", None),
    ("no slot", [requested(), deferred(1, NO_SLOT)], "deferred", "queued", "no_slot"),
    ("put off by the server", [requested(), sending(1), deferred(1)], "deferred", "queued", "450"),
    ("released again", [requested(), sending(1), deferred(1), released(2)], "queued", "queued", None),
    ("second attempt", [requested(), deferred(1), released(2), sending(2)], "sending", "sending", None),
    ("taken over", [requested(), sending(1), sending(2)], "sending", "sending", None),
    (
        "late deferral after a take-over",
        [requested(), sending(1), sending(2), deferred(1)],
        "sending",
        "sending",
        None,
    ),
    ("sent", [requested(), sending(1), sent(1)], "sent", "sent", None),
    (
        "sent twice by a take-over",
        [requested(), sending(1), sending(2), sent(2), sent(1)],
        "sent",
        "sent",
        None,
    ),
    (
        "late 250 after the take-over failed",
        [requested(), sending(1), sending(2), failed(2), sent(1)],
        "sent",
        "sent",
        None,
    ),
    ("refused", [requested(), sending(1), failed(1)], "failed", "failed", "550"),
    ("expired while waiting", [requested(), deferred(1), expired(1)], "failed", "failed", "expired"),
    ("expired before its turn", [requested("turn"), expired(0)], "failed", "failed", "expired"),
    ("cancelled while scheduled", [SCHEDULED, cancelled()], "cancelled", "cancelled", "cancelled"),
    ("cancelled while queued", [requested(), cancelled()], "cancelled", "cancelled", "cancelled"),
    (
        "cancelled while deferred",
        [requested(), deferred(1), cancelled()],
        "cancelled",
        "cancelled",
        "cancelled",
    ),
    (
        "cancelled, but a stalled holder got through",
        [requested(), sending(1), sending(2), deferred(2), cancelled(), sent(1)],
        "sent",
        "sent",
        None,
    ),
    (
        "cancelled outranks failed",
        [requested(), failed(1), cancelled()],
        "cancelled",
        "cancelled",
        "cancelled",
    ),
    ("suppressed", [requested(), suppressed()], "suppressed", "suppressed", "suppressed"),
    ("failed outranks suppressed", [requested(), suppressed(), failed(1)], "failed", "failed", "550"),
    ("unconfirmed", [requested(), sending(1), unconfirmed(1)], "unconfirmed", "unconfirmed", "unconfirmed"),
    (
        "suppressed outranks unconfirmed",
        [requested(), unconfirmed(1), suppressed()],
        "suppressed",
        "suppressed",
        "suppressed",
    ),
    (
        "unconfirmed, then the answer",
        [requested(), sending(1), unconfirmed(1), sent(1)],
        "sent",
        "sent",
        None,
    ),
    ("one of two waits", [BOTH, sending(1), deferred(1, BUSY, ANN, BOB_WAITS)], "deferred", "queued", "450"),
    ("one of two was refused", [BOTH, sending(1), sent(1, ANN, BOB_FAILED)], "sent", "sent", None),
    (
        "one sent, the other expired",
        [BOTH, sending(1), deferred(1, BUSY, ANN, BOB_WAITS), expired(1)],
        "sent",
        "sent",
        None,
    ),
    (
        "one sent, the other failed later",
        [BOTH, deferred(1, BUSY, ANN, BOB_WAITS), sending(2), failed(2)],
        "sent",
        "sent",
        None,
    ),
]


@pytest.mark.parametrize(
    ("history", "raw", "unified", "why"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_an_email_is(history: list[Event], raw: str, unified: str, why: str | None) -> None:
    now = state(*history)
    reason = status.reason(now)
    assert (status.raw(now), status.unified(now)) == (raw, unified)
    assert (reason.code if reason else None) == why


def test_the_table_has_every_status() -> None:
    assert {row[2] for row in TABLE} == set(status.STATUSES)


def test_only_a_deferred_email_has_a_next_attempt() -> None:
    assert status.next_attempt_at(state(requested(), deferred(1))) == NOON + HOUR
    assert status.next_attempt_at(state(requested(), deferred(1), released(2))) is None
    assert status.next_attempt_at(state(requested(), deferred(1), cancelled())) is None


def test_the_highest_revision_is_its_time() -> None:
    assert state(SCHEDULED).scheduled_at == TOMORROW
    assert state(moved(2, 3), SCHEDULED, moved(1, 5)).scheduled_at == NOON + timedelta(hours=3)


def test_the_deadline_is_72_hours_after_the_first_release() -> None:
    assert status.deadline(state(SCHEDULED)) is None
    assert status.deadline(state(requested())) == NOON + timedelta(hours=72)


def test_the_deadline_of_the_client_holds() -> None:
    soon = NOON + HOUR
    assert status.deadline(state(requested(expires_at=soon))) == soon


def test_a_deadline_only_moves_later() -> None:
    later = schedule.Released(occurred_at=NOON, round=3, expires_at=NOON + timedelta(hours=100))
    assert status.deadline(state(later, requested(), released(1))) == NOON + timedelta(hours=100)


def test_each_recipient_keeps_the_best_that_was_said_of_it() -> None:
    now = state(BOTH, deferred(1, BUSY, ANN, BOB_WAITS), sent(2, BOB_FAILED, result("ann", "failed", 550)))
    assert [(r.address, r.status) for r in status.results(now)] == [
        ("ann@world.test", "sent"),
        ("bob@world.test", "failed"),
    ]
    assert status.waiting(now) == ()


def test_whoever_has_no_answer_waits() -> None:
    assert status.waiting(state(BOTH)) == ("ann@world.test", "bob@world.test")
    assert status.waiting(state(BOTH, deferred(1, BUSY, ANN, BOB_WAITS))) == ("bob@world.test",)
    assert status.waiting(state(sending(1))) == ()


def test_the_first_250_is_when_it_was_sent() -> None:
    late = delivery.Sent(occurred_at=NOON + HOUR, round=1)
    assert state(requested(), late, sent(2)).sent_at == NOON
    assert status.final_at(state(requested(), failed(1)), "failed") == NOON
    assert status.final_at(state(requested()), "failed") is None


def test_the_next_round_is_above_every_round_that_was_named() -> None:
    assert status.latest_round(state(requested())) == 1
    assert status.latest_round(state(SCHEDULED)) == 0
    assert status.latest_round(state(requested(), sending(1), sending(2))) == 2
    # The lane is trimmed: only an outcome is left of the round.
    assert status.latest_round(state(deferred(4))) == 4


def test_a_claim_that_led_to_no_attempt_is_none() -> None:
    unconnected = [requested(), sending(1), deferred(1)]  # which counts no attempt, as the session never was
    assert status.attempts(state(*unconnected)) == 0
    assert status.attempts(state(*unconnected, released(2), sending(2))) == 1


def test_a_claim_whose_holder_died_is_an_attempt() -> None:
    assert status.attempts(state(requested(), sending(1), sending(2, attempt=2))) == 2
