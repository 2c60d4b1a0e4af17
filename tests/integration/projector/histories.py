"""Seeded histories of many emails, as the log would hold them, and what may happen to records on their way."""

import itertools
import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from shared.events import delivery, schedule, signal, submission
from shared.events.base import EmailId, Event, EventId, WorkspaceId
from shared.events.record import Record
from tests.controls.emails import ACCOUNT, NOON, an_email

WORKSPACES = ("acme", "zen")


def reason(code: str) -> delivery.Reason:
    """Return a reason in as few words as possible."""
    return delivery.Reason(code=code, message=code, category="test", retryable=True, suggested_action="none")


def histories(seed: int, emails: int) -> list[Record]:
    """Return the records of some emails in the order of a log, sequences included."""
    dice = random.Random(seed)
    lanes = [list(_life(dice, number)) for number in range(emails)]
    order = [place for place, lane in enumerate(lanes) for _ in lane]
    dice.shuffle(order)
    queues = [iter(lane) for lane in lanes]
    return [next(queues[place])._replace(sequence=number) for number, place in enumerate(order, start=1)]


def mangled(records: list[Record], seed: int, *, copies: int = 3) -> Iterator[list[Record]]:
    """Yield every record several times, in any order, in batches of any size."""
    dice = random.Random(seed)
    pile = records * copies
    dice.shuffle(pile)
    while pile:
        size = dice.choice((1, 2, 7, 40, 1000))
        yield pile[:size]
        pile = pile[size:]


def _life(dice: random.Random, number: int) -> Iterator[Record]:
    workspace = WorkspaceId(dice.choice(WORKSPACES))
    email_id = EmailId(str(uuid.UUID(int=dice.getrandbits(128), version=4)))
    began = NOON + timedelta(seconds=number)
    for event in itertools.chain(_events(dice, began), _signals(dice, began)):
        event_id = EventId(str(uuid.UUID(int=dice.getrandbits(128), version=4)))
        yield Record(workspace, email_id, event_id, event)


def _events(dice: random.Random, began: datetime) -> Iterator[Event]:
    """Yield a plausible life: taken over, deferred, cancelled, moved; not every life comes to an end."""
    clock = (began + timedelta(minutes=minute) for minute in itertools.count())
    to = [f"user{dice.randrange(50)}@world.test" for _ in range(dice.randrange(1, 4))]
    release: submission.Release = dice.choice(("now", "turn", "at"))
    fields: dict[str, Any] = {
        "tags": tuple(dice.sample(("a", "b", "c"), dice.randrange(3))),
        "batch_id": dice.choice((None, "batch-1")),
        "scheduled_at": began + timedelta(hours=1) if release == "at" else None,
    }
    yield submission.Requested(occurred_at=next(clock), release=release, email=an_email(*to, **fields))
    if release == "at" and dice.random() < 0.5:
        yield submission.Rescheduled(
            occurred_at=next(clock), scheduled_at=began + timedelta(hours=2), revision=1
        )
    deadline = began + timedelta(hours=72)
    for round_ in range(1, dice.randrange(2, 5)):
        if round_ > 1 or release != "now":
            yield schedule.Released(occurred_at=next(clock), round=round_, expires_at=deadline)
        if dice.random() < 0.1:
            yield submission.Cancelled(occurred_at=next(clock))
            return
        yield delivery.Sending(
            occurred_at=next(clock),
            round=round_,
            attempt=round_,
            claim_id=f"claim-{round_}",
            account_id=ACCOUNT,
        )
        ending = dice.choice(("sent", "failed", "suppressed", "deferred", "deferred", "nothing"))
        results = tuple(delivery.RecipientResult(address=a, status=_result(dice, ending)) for a in set(to))
        said: dict[str, Any] = {"round": round_, "attempt": round_, "recipients": results}
        if ending == "deferred":
            yield delivery.Deferred(
                occurred_at=next(clock),
                reason=reason("450"),
                next_attempt_at=next(clock),
                expires_at=deadline,
                email=an_email(*to, **fields),
                **said,
            )
        elif ending == "sent":
            yield delivery.Sent(occurred_at=next(clock), **said)
            return
        elif ending == "suppressed":
            yield delivery.Suppressed(occurred_at=next(clock), reason=reason("suppressed"), **said)
            return
        elif ending == "failed":
            yield delivery.Failed(occurred_at=next(clock), reason=reason("550"), **said)
            return


def _result(dice: random.Random, ending: str) -> Any:
    return dice.choice(("sent", "deferred")) if ending == "deferred" else ending


def _signals(dice: random.Random, began: datetime) -> Iterator[Event]:
    """Yield what came back, soon and late, in no order: not all of it becomes a mail that was sent."""
    raw_key = f"default/2026-11-24/in-{dice.getrandbits(64):x}"
    for _ in range(dice.choice((0, 0, 1, 5))):
        about: dict[str, Any] = {
            "occurred_at": began + timedelta(minutes=dice.randrange(3000)),
            "recipient": dice.choice((None, "user1@world.test")),
        }
        hit: dict[str, Any] = {"machine": dice.random() < 0.5, "user_agent": "Mozilla/5.0"}
        report: dict[str, Any] = {"raw_key": raw_key}
        yield dice.choice(
            (
                signal.Opened(**about, **hit),
                signal.Clicked(**about, **hit, url="https://world.test/"),
                signal.Delivered(**about, **report),
                signal.Delayed(**about, **report, reason=reason("4.4.1")),
                signal.Bounced(
                    **about,
                    **report,
                    kind=dice.choice(("hard", "soft", "unknown")),
                    reason=reason("5.1.1"),
                ),
                signal.Read(**about, **report),
                signal.Replied(**about, **report, snippet="yes"),
                signal.AutoReplied(**about, **report),
                signal.Complained(**about, **report),
                signal.Unsubscribed(**about),
            )
        )
