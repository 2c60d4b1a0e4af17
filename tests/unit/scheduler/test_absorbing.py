"""The scheduler's fold: in step with everybody's fold, and safe in any order."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler import absorbing, decisions
from services.scheduler.row import DONE, WAITING, Row
from shared.events import record, status
from tests.unit.scheduler.lives import Life

SEEDS = st.integers(0, 2**32)
STEPS = st.integers(0, 14)
thoroughly = settings(max_examples=300, deadline=None)


def consume(row: Row | None, item: record.Record, life: Life) -> Row | None:
    """Take one record in as a scheduler does: read the email's records where it must."""
    if decisions.is_noise(row, [item]):
        return row
    if decisions.lacks_history(row, [item]):
        return absorbing.after_reading(row, life.records)
    return absorbing.absorb(row, item)


def arrivals(life: Life, order: int) -> list[record.Record]:
    """Return what comes to the consumer, each once or twice, in any order that can be.

    Whatever follows a release comes after what made the row wait for it: the table had it by then.
    """
    dice = random.Random(order)
    arriving = [item for item in life.seen() for _ in range(dice.choice((1, 1, 2)))]
    dice.shuffle(arriving)
    possible: list[record.Record] = []
    for item in arriving:
        for cause in life.causes(item):
            if cause not in possible:
                possible.append(cause)
        possible.append(item)
    return possible


@thoroughly
@given(SEEDS, STEPS)
def test_a_row_made_of_all_records_says_what_the_fold_says(seed: int, steps: int) -> None:
    life = Life(seed, steps)
    row = absorbing.after_reading(None, life.records)
    assert row is not None
    assert (row.state == DONE) == status.is_final(life.state)
    assert (row.state == WAITING) == life.is_waiting()
    assert row.sequence == life.records[-1].sequence
    assert row.proven
    if row.state == WAITING:
        assert row.round == status.latest_round(life.state)
        assert row.due_at == life.due_at()
        assert row.expires_at == life.state.expires_at
        assert row.payload is not None
        assert row.payload.email.body is not None


@thoroughly
@given(SEEDS, STEPS, SEEDS)
def test_in_any_order_and_twice_nothing_is_released_that_may_not_be(
    seed: int, steps: int, order: int
) -> None:
    """A row that may guard with the email's last record must be right, at every moment on the way."""
    life = Life(seed, steps)
    row: Row | None = None
    for item in arrivals(life, order):
        row = consume(row, item, life)
        if row is None or row.state != WAITING:
            continue
        if row.proven and row.sequence == life.records[-1].sequence:
            assert life.is_waiting()
            assert row.round == status.latest_round(life.state)
            assert row.due_at == life.due_at()


@thoroughly
@given(SEEDS, STEPS, SEEDS)
def test_in_any_order_and_twice_what_waits_is_not_forgotten(seed: int, steps: int, order: int) -> None:
    life = Life(seed, steps)
    row: Row | None = None
    for item in arrivals(life, order):
        row = consume(row, item, life)
    if life.is_waiting():
        assert row is not None
        assert (row.state, row.round, row.due_at) == (
            WAITING,
            status.latest_round(life.state),
            life.due_at(),
        )
    elif status.is_final(life.state):
        assert row is None or row.state == DONE, "once the log is trimmed nothing would stop its release"


@thoroughly
@given(SEEDS, STEPS, SEEDS)
def test_a_final_record_ends_a_row_for_good(seed: int, steps: int, order: int) -> None:
    life = Life(seed, steps)
    row: Row | None = None
    ended = False
    for item in arrivals(life, order):
        row = consume(row, item, life)
        ended = ended or (row is not None and row.state == DONE)
        assert not ended or (row is not None and row.state == DONE)


@thoroughly
@given(SEEDS, STEPS)
def test_a_record_that_came_before_changes_nothing(seed: int, steps: int) -> None:
    life = Life(seed, steps)
    row = absorbing.absorb_all(None, life.records)
    for item in life.records:
        again = absorbing.absorb(row, item)
        assert again == row


@thoroughly
@given(SEEDS, STEPS)
def test_a_conflict_is_decided_by_what_the_log_has_left(seed: int, steps: int) -> None:
    """Of a trimmed history only the end is there; the row knows the rest."""
    life = Life(seed, steps)
    for kept in range(len(life.records)):
        row = absorbing.absorb_all(None, life.records[:kept])
        row = absorbing.after_reading(row, life.records[kept:])
        if row is not None and row.state == WAITING:
            assert life.is_waiting()
            assert row.due_at == life.due_at()
