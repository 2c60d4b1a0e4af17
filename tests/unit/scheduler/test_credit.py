"""Credit and pace of an account."""

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler import credit
from services.scheduler.credit import Standing
from shared.runtime import topology
from shared.runtime.configuration import Account, Limits, Smtp
from tests.controls.emails import NOON, minutes

TOP = topology.DISPATCHER.in_flight // 4


def account(**limits: int) -> Account:
    return Account(
        id="a",
        workspace="default",
        name="a",
        smtp=Smtp(host="x", port=25),
        identities=(),
        limits=Limits(**limits),
        created_at=NOON,
        updated_at=NOON - minutes(1),
    )


@pytest.mark.parametrize(
    ("connections", "finished", "limit"),
    [(2, 0, 4), (2, 3, 4), (2, 50, 50), (2, 99_999, TOP), (99_999, 0, TOP)],
)
def test_the_limit_is_what_was_finished_within_bounds(connections: int, finished: int, limit: int) -> None:
    assert credit.limit(account(connections=connections), finished) == limit


def test_however_many_slow_accounts_there_are_they_never_fill_the_window_together() -> None:
    """Each has something back in turn, and takes anew what it may have."""
    slow, out = account(connections=50), [0] * 500
    for number in [*range(500)] * 4:
        elsewhere = sum(out) - out[number]
        out[number] = credit.grant(Standing(elsewhere=elsewhere), slow, 0, NOON).count
    assert sum(out) < topology.DISPATCHER.in_flight
    assert min(out) > 0


def test_an_unknown_account_has_the_least_credit() -> None:
    assert credit.grant(Standing(), None, 0, NOON).count == 2


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 1000))
def test_what_is_out_and_what_is_granted_never_exceed_the_limit(
    outstanding: int, finished: int, connections: int
) -> None:
    one = account(connections=connections)
    granted = credit.grant(Standing(outstanding=outstanding), one, finished, NOON).count
    assert granted >= 0
    assert granted == 0 or granted + outstanding <= credit.limit(one, finished) <= TOP


def test_a_held_account_gets_nothing_before_it_can_go_on() -> None:
    held = Standing(held_until=NOON + minutes(5), held_since=NOON)
    granted = credit.grant(held, account(), 0, NOON + minutes(1))
    assert (granted.count, granted.rest) == (0, minutes(4))
    assert credit.grant(held, account(), 0, NOON + minutes(5)).count > 0


def test_a_change_of_the_account_lifts_its_hold() -> None:
    held = Standing(held_until=NOON + minutes(5), held_since=NOON)
    changed = msgspec.structs.replace(account(), updated_at=NOON + minutes(1))
    assert credit.grant(held, changed, 0, NOON + minutes(1)).count > 0


@given(
    st.integers(1, 500),
    st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60),
    st.sampled_from(["per_second", "per_minute"]),
)
def test_no_window_holds_more_than_the_rate_and_one_burst(rate: int, gaps: list[int], unit: str) -> None:
    """Looked at at any moments, taking all that is granted each time."""
    one = account(**{"connections": 1000, unit: rate})
    step = timedelta(seconds=one.limits.interval)
    burst = max(1, int(credit.BURST / step))
    now, next_at = NOON, None
    taken: list[tuple[datetime, int]] = []
    for gap in gaps:
        now += timedelta(microseconds=gap)
        count = credit.grant(Standing(next_at=next_at), one, 0, now).count
        if count:
            next_at = credit.next_slot(next_at, one, count, now)
            taken.append((now, count))
    for number, (since, _) in enumerate(taken):
        total = 0
        for at, count in taken[number:]:
            total += count
            assert total <= (at - since) / step + burst + 1e-6


def test_an_idle_account_s_first_mail_waits_for_nothing() -> None:
    one = account(per_minute=1)
    assert credit.grant(Standing(next_at=NOON), one, 0, NOON + minutes(60)).count == 1


def test_a_paced_account_is_left_alone_until_its_next_slot() -> None:
    one = account(per_second=1, connections=100)
    after = credit.next_slot(None, one, 1, NOON)
    granted = credit.grant(Standing(next_at=after), one, 0, NOON + timedelta(seconds=0.25))
    assert (granted.count, granted.rest) == (0, timedelta(seconds=0.75))


def test_a_clock_that_jumps_back_does_not_stop_an_account() -> None:
    one = account(per_second=1)
    after = credit.next_slot(None, one, 1, NOON)
    assert credit.grant(Standing(next_at=after), one, 0, NOON - minutes(60)).count == 1
