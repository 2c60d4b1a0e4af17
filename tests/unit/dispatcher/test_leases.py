"""Shared connections: whoever renews and whoever dies, together they never open more than the account bears."""

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.leases import LEASE, RENEW, Leases, share

START = 1_795_000_000.0
NAMES = ("a", "b", "c", "d")
RENEWALS = st.lists(st.tuples(st.floats(0, 4), st.sampled_from(NAMES)), min_size=1, max_size=60)


def living(leases: Leases, now: float) -> dict[str, int]:
    """Return who holds how many connections at this moment."""
    return {name: holder.connections for name, holder in leases.holders.items() if holder.until > now}


def settle(names: tuple[str, ...], limit: int, rounds: int = 8) -> tuple[dict[str, int], Leases, float]:
    """Let these renew in turn; return what each was told last, the entry, and the time."""
    leases, now, told = Leases(), START, {}
    for _ in range(rounds):
        for name in names:
            now += RENEW / len(names)
            told[name], leases = share(leases, name, limit, now)
    return told, leases, now


@given(renewals=RENEWALS, limit=st.integers(1, 40))
def test_never_more_than_the_limit_in_all(renewals: list[tuple[float, str]], limit: int) -> None:
    leases, now = Leases(), START
    for pause, name in renewals:
        now += pause
        mine, leases = share(leases, name, limit, now)
        assert 0 <= mine <= limit
        assert sum(living(leases, now).values()) <= limit
        assert living(leases, now).get(name, 0) == mine


@given(renewals=RENEWALS, limit=st.integers(1, 40))
def test_every_lease_ends_when_it_is_not_renewed(renewals: list[tuple[float, str]], limit: int) -> None:
    leases, now = Leases(), START
    for pause, name in renewals:
        now += pause
        _, leases = share(leases, name, limit, now)
    assert living(leases, now + LEASE) == {}
    mine, after = share(leases, "late", limit, now + LEASE)
    assert mine == limit
    assert set(after.holders) == {"late"}


@given(limit=st.integers(1, 20).map(lambda half: 2 * half))
def test_two_come_to_halves(limit: int) -> None:
    told, _, _ = settle(("a", "b"), limit)
    assert told == {"a": limit // 2, "b": limit // 2}


@given(limit=st.integers(2, 40))
def test_the_one_who_is_left_has_everything_once_the_dead_ones_lease_is_over(limit: int) -> None:
    _, leases, now = settle(("a", "b"), limit)
    for _ in range(4):
        now += RENEW
        _, leases = share(leases, "a", limit, now)
    assert living(leases, now) == {"a": limit}
