"""The fold over random lives: order and repeats change nothing, and nothing that was final is taken back."""

import itertools
import random
from datetime import UTC, datetime

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.events import fold, signal, status
from tests.unit.events.lives import Life, lives

_FINAL_RANK = ("unconfirmed", "suppressed", "failed", "cancelled", "sent")
_property = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _fingerprint(state: fold.State) -> bytes:
    """Return the state as bytes; a dictionary's order is no meaning."""
    return msgspec.json.encode(state, order="sorted")


def test_an_email_opened_endlessly_is_counted_to_a_bound_in_any_order() -> None:
    opened = signal.Opened(occurred_at=datetime(2026, 11, 24, tzinfo=UTC))
    ids = [f"open-{number}" for number in range(3 * fold.HITS)]
    there, back = fold.State(), fold.State()
    for event_id in ids:
        fold.apply(there, opened, event_id)
        if event_id == ids[fold.HITS - 1]:
            assert len(there.opens) == fold.HITS
    for event_id in [*reversed(ids), *ids[::7]]:
        fold.apply(back, opened, event_id)
    assert len(there.opens) == fold.HITS
    assert _fingerprint(there) == _fingerprint(back)
    assert there.signals["opened"].event_id == min(ids)


def _rank(word: str) -> int:
    return _FINAL_RANK.index(word) if word in _FINAL_RANK else -1


@_property
@given(lives(most=6))
def test_every_order_of_a_history_gives_the_same_state(life: Life) -> None:
    expected = _fingerprint(fold.fold(life.records))
    for order in itertools.permutations(life.records):
        assert _fingerprint(fold.fold(order)) == expected


@_property
@given(lives(most=20), st.randoms(use_true_random=False))
def test_repeats_in_any_order_change_nothing(life: Life, chance: random.Random) -> None:
    expected = _fingerprint(fold.fold(life.records))
    for _ in range(5):
        again = life.records + [chance.choice(life.records) for _ in range(len(life.records))]
        chance.shuffle(again)
        assert _fingerprint(fold.fold(again)) == expected


@_property
@given(lives(most=20), st.randoms(use_true_random=False))
def test_a_stored_state_continues_where_it_was(life: Life, chance: random.Random) -> None:
    order = list(life.records)
    chance.shuffle(order)
    half = chance.randint(0, len(order))
    stored = msgspec.msgpack.encode(fold.fold(order[:half]))
    state = fold.fold(order[half:], msgspec.msgpack.decode(stored, type=fold.State))
    assert _fingerprint(state) == _fingerprint(fold.fold(life.records))


@_property
@given(lives(most=20), st.randoms(use_true_random=False))
def test_a_final_status_gives_way_only_to_a_stronger_one(life: Life, chance: random.Random) -> None:
    shuffled = list(life.records)
    chance.shuffle(shuffled)
    for order in (life.records, shuffled):
        state, reached = fold.State(), -1
        for record in order:
            fold.apply(state, record.event, record.event_id, record.sequence)
            rank = _rank(status.raw(state))
            assert rank >= reached
            reached = rank


@_property
@given(lives(most=20))
def test_what_was_sent_to_anyone_is_sent_or_still_under_way(life: Life) -> None:
    state = fold.fold(life.records)
    if "sent" in life.results.values():
        assert status.may_have_reached_anyone(state)
        assert (
            status.raw(state) == "sent"
            if life.finals
            else status.raw(state) in ("queued", "sending", "deferred")
        )
    else:
        assert status.raw(state) != "sent"


@_property
@given(lives(most=20))
def test_the_state_knows_what_the_life_knew(life: Life) -> None:
    state = fold.fold(life.records)
    assert life.finals or status.raw(state) == life.under_way
    assert status.is_final(state) == bool(life.finals)
    assert set(state.finals) == life.finals
    assert {result.address: result.status for result in status.results(state)} == life.results
    assert status.waiting(state) == tuple(
        address for address in life.recipients if life.results.get(address, "deferred") == "deferred"
    )
    assert (state.sequence, status.attempts(state)) == (len(life.records), life.attempts)
    assert state.revision == life.revision
    assert status.latest_round(state) == life.round


@_property
@given(lives(most=20))
def test_evidence_from_delivered_up_outranks_the_send_state_and_machines_and_robots_are_none(
    life: Life,
) -> None:
    state = fold.fold(reversed(life.records))
    people = [one for one in life.signals if not getattr(one, "machine", False)]
    said = {one.name for one in people} | {"opened" for one in people if one.name == "clicked"}
    order = ("bounced", "replied", "read", "opened", "delivered")
    expected = next((word for word in order if word in said), None)
    assert status.unified(state) == (expected or status.raw(state).replace("deferred", "queued"))
    assert len(state.opens) == sum(one.name == "opened" for one in people)
    assert len(state.clicks) == sum(one.name == "clicked" for one in people)
    machine = [one for one in life.signals if isinstance(one, signal.Opened) and one.machine]
    assert len(state.machine_opens) == len(machine)
    for kind in ("delivered", "bounced", "read", "replied", "complained", "clicked"):
        times = [one.occurred_at for one in people if one.name == kind]
        assert status.first_at(state, kind) == min(times, default=None)


@_property
@given(lives(most=20))
def test_an_email_that_ended_says_why(life: Life) -> None:
    state = fold.fold(life.records)
    needs_a_why = status.raw(state) in ("deferred", "failed", "suppressed", "unconfirmed", "cancelled")
    needs_a_why = needs_a_why or status.unified(state) == "bounced"
    assert (status.reason(state) is not None) == needs_a_why
    assert (status.next_attempt_at(state) is not None) == (status.raw(state) == "deferred")
    assert status.raw(state) in status.STATUSES
    assert status.unified(state) in status.UNIFIED_STATUSES


@_property
@given(lives(most=20))
def test_the_newest_claim_is_the_one_in_force(life: Life) -> None:
    claims = [record.event for record in life.records if record.event.name == "sending"]
    state = fold.fold(reversed(life.records))
    newest = claims[-1] if claims else None
    assert state.claim_id == getattr(newest, "claim_id", None)
    assert state.claim_round == getattr(newest, "round", 0)


@_property
@given(lives(most=20))
def test_folding_leaves_the_records_as_they_were(life: Life) -> None:
    before = msgspec.msgpack.decode(msgspec.msgpack.encode(life.records), type=list[object])
    fold.fold(life.records)
    fold.fold(life.records, fold.fold(life.records))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(life.records), type=list[object]) == before
    assert fold.State() == fold.State(recipients={}, finals={})
