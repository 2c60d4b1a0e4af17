import itertools

from services.gateway.emails import reading
from shared.events import fold, status
from tests.unit.gateway.emails.histories import records, requested, row, sending, sent

STORY = (requested(), sending(), sent())


def test_what_the_projection_has_not_seen_is_folded_from_the_log() -> None:
    told = records(*STORY)
    for archived in range(4):
        found = reading.combine(told, row(*STORY[:archived]) if archived else None)
        assert found is not None
        assert status.raw(found.state) == "sent"
        assert found.guard == 3


def test_any_split_between_trimmed_log_and_archive_tells_the_same() -> None:
    told = records(*STORY)
    whole = fold.fold(told)
    for trimmed, archived in itertools.product(range(4), range(4)):
        if trimmed > archived:
            continue  # only what is archived is ever trimmed
        found = reading.combine(told[trimmed:], row(*STORY[:archived]) if archived else None)
        assert found is not None
        assert found.state == whole


def test_a_trimmed_lane_is_guarded_by_nothing() -> None:
    found = reading.combine([], row(*STORY))
    assert found is not None
    assert found.guard == 0


def test_nobody_knows_an_email_whose_request_is_nowhere() -> None:
    assert reading.combine([], None) is None
    assert reading.combine(records(sending()), None) is None
    assert reading.combine([], row(sending())) is None


def test_a_row_that_lacks_the_request_is_completed_by_the_log() -> None:
    told = records(*STORY)
    late = row(*STORY)._replace(state=fold.fold(told[1:]), archived=frozenset({"event-2", "event-3"}))
    found = reading.combine(told, late)
    assert found is not None
    assert found.state.email is not None
