"""How much of an account may be out at once, and at what pace it is released. Pure.

Credit follows what the account gets done, so that one with a million waiting, or a relay that answers
in 30 s, never fills the window all accounts share; the pace is the account's own rate, so that what
is overdue after downtime does not arrive as one flood.
"""

import math
from datetime import datetime, timedelta
from typing import Final

import msgspec

from shared.runtime import topology
from shared.runtime.configuration import Account

PART: Final = 4
BURST: Final = timedelta(seconds=0.5)
# Rounds closer together than this would release single emails at the price of a batch.
STEP_AT_LEAST: Final = timedelta(seconds=0.02)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the table says of an account: emails out, its pace, and the hold a dispatcher put on it.

    `elsewhere` is how many emails of other accounts are out.
    """

    outstanding: int = 0
    elsewhere: int = 0
    next_at: datetime | None = None
    held_until: datetime | None = None
    held_since: datetime | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """How many may be released now; `rest` is how long to leave the account alone if that is too few.

    Without `rest` only an outcome brings more.
    """

    count: int
    rest: timedelta | None = None


def limit(account: Account | None, finished: int, elsewhere: int = 0) -> int:
    """Return how many emails of an account may be out at once; `finished` within the last second.

    Never more than a part of what others leave of the window, so that they never fill it together, however
    many are slow.
    """
    connections = account.limits.connections if account else 1
    left = topology.DISPATCHER.in_flight - elsewhere
    return min(max(2 * connections, finished), max(1, left // PART))


def is_lifted(standing: Standing, account: Account | None) -> bool:
    """Say whether the account was changed after it was held: it may be able to go on now."""
    since = standing.held_since
    return since is not None and account is not None and account.updated_at > since


def hold(standing: Standing, account: Account | None, now: datetime) -> timedelta | None:
    """Return for how long the account is held, if it is."""
    until = standing.held_until
    if until is None or until <= now or is_lifted(standing, account):
        return None
    return until - now


def grant(standing: Standing, account: Account | None, finished: int, now: datetime) -> Grant:
    """Return how many emails of an account may be released now."""
    held = hold(standing, account, now)
    if held is not None:
        return Grant(count=0, rest=held)
    credit = max(0, limit(account, finished, standing.elsewhere) - standing.outstanding)
    step = timedelta(seconds=account.limits.interval if account else 0)
    if not step:
        return Grant(count=credit)
    first = _first_slot(standing.next_at, step, now)
    tokens = max(0, math.floor((now - first) / step) + 1)
    if credit <= tokens:
        return Grant(count=credit)
    after = max(first + step * tokens - now, STEP_AT_LEAST)
    return Grant(count=tokens, rest=after)


def next_slot(next_at: datetime | None, account: Account | None, released: int, now: datetime) -> datetime:
    """Return the account's next free moment after `released` more emails."""
    step = timedelta(seconds=account.limits.interval if account else 0)
    return _first_slot(next_at, step, now) + step * released if step else now


def _first_slot(next_at: datetime | None, step: timedelta, now: datetime) -> datetime:
    """Return the first slot not used yet; idle time counts for one short burst."""
    earliest = now - step * (max(1, int(BURST / step)) - 1)
    # Further ahead than one step only a clock that has jumped back can see it.
    if next_at is None or next_at > now + step:
        return earliest
    return max(next_at, earliest)
