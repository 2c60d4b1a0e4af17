"""The decisions to cancel and to reschedule: what a state still allows. Pure.

Only a state that forbids the step refuses it; the guard on the record sees to it that the state is the
one that holds when the record is written.
"""

from datetime import datetime
from typing import Final

from services.gateway.emails import times
from services.gateway.errors import Problem
from shared.events import fold, status, submission

CANCELLABLE: Final = ("scheduled", "queued", "deferred")


class TooLate(Exception):
    """The email is past the point where this could be done; `status` is where it is now."""

    def __init__(self, message: str, now: str) -> None:
        super().__init__(message)
        self.status = now


def cancel(state: fold.State, now: datetime) -> submission.Cancelled | None:
    """Return the cancellation, or None if the email is cancelled already. Raises: TooLate."""
    current = status.raw(state)
    if current == "cancelled":
        return None
    if current not in CANCELLABLE:
        raise TooLate(f"the email cannot be cancelled any more: it is {current}", current)
    if status.may_have_reached_anyone(state):
        raise TooLate("the email cannot be cancelled: at least one recipient has it, or may have it", current)
    return submission.Cancelled(occurred_at=now)


def reschedule(state: fold.State, to: datetime, now: datetime) -> submission.Rescheduled | None:
    """Return the move to another time, or None if that is its time already. Raises: TooLate."""
    current = status.raw(state)
    if current != "scheduled":
        raise TooLate(f"only a scheduled email can be rescheduled: it is {current}", current)
    if to == state.scheduled_at:
        return None
    return submission.Rescheduled(occurred_at=now, scheduled_at=max(to, now), revision=state.revision + 1)


def time_problems(state: fold.State, to: datetime, now: datetime) -> list[Problem]:
    """Return why the email may not be moved to that time: the same rules as when it was submitted."""
    expires_at = state.email.expires_at if state.email else None
    if why := times.scheduled(to, now):
        return [Problem("$.scheduled_at", why)]
    if expires_at is not None and (why := times.expiring(expires_at, now, to)):
        return [Problem("$.scheduled_at", f"cannot be: the email's expires_at {why}")]
    return []
