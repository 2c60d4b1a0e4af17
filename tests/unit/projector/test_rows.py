"""What is written for an email: canonical bytes, and text a database takes."""

from datetime import timedelta

import pytest

from services.projector import rows
from shared.events import delivery, fold, submission
from shared.events.base import EmailId
from tests.controls.emails import NOON, a_record, a_request


def _outcome(kind: type[delivery.Outcome], *addresses: str, hours: float = 1) -> delivery.Outcome:
    results = tuple(delivery.RecipientResult(address=address, status="sent") for address in addresses)
    return kind(occurred_at=NOON + timedelta(hours=hours), round=1, attempt=1, recipients=results)


def test_equal_states_are_equal_bytes_whatever_order_they_were_learned_in() -> None:
    one = a_request("ann@world.test", "bob@world.test", at=NOON)
    ann, bob = (
        a_record(_outcome(delivery.Sent, address), email_id=one.email_id)
        for address in ("ann@world.test", "bob@world.test")
    )
    first, second = fold.fold([one, ann, bob]), fold.fold([bob, ann, one])
    assert list(first.recipients) != list(second.recipients)
    assert rows.row("w", one.email_id, first) == rows.row("w", one.email_id, second)


def test_a_batch_is_arranged_by_email_and_each_event_counts_once() -> None:
    one, other = a_request()._replace(sequence=5), a_request()._replace(sequence=6)
    again = one._replace(sequence=9)
    lanes = rows.arrange([again, other, one])
    assert sorted([one.email_id, other.email_id]) == [lane.email_id for lane in lanes]
    assert {item.sequence for lane in lanes for item in lane.records} == {5, 6}


@pytest.mark.parametrize("bad", ["", "x", "A2B6A9D0-0000-4000-8000-000000000000", "a2b6a9d0" * 4, "*"])
def test_only_a_canonical_uuid_is_the_id_of_an_email(bad: str) -> None:
    """Two spellings of one id would be two lanes of one row."""
    with pytest.raises(rows.NotAnEmail):
        rows.arrange([a_request()._replace(email_id=EmailId(bad))])


def test_no_text_for_the_database_has_a_nul() -> None:
    request = a_request(subject="\0", tags=("\0",), batch_id="\0")._replace(causation="\0")
    state = fold.fold([request])
    row = rows.row("w", request.email_id, state)
    assert (row.subject, row.tags, row.batch_id) == ("\ufffd", ["\ufffd"], "\ufffd")
    (archived,) = rows.archived([request])
    assert not any(isinstance(value, str) and "\0" in value for value in archived)
    assert b"\0" not in archived[-1]


def test_the_archive_is_without_content() -> None:
    (archived,) = rows.archived([a_request(text="the secret")])
    assert b"secret" not in archived[-1]


@pytest.mark.parametrize(
    ("kinds", "ends"), [([], None), ([delivery.Sent], 25), ([delivery.Sent, delivery.Failed], 25)]
)
def test_content_ends_some_time_after_the_first_final_word(
    kinds: list[type[delivery.Outcome]], ends: int | None
) -> None:
    reason = delivery.Reason(code="550", message="no", category="x", retryable=False, suggested_action="none")
    state = fold.State()
    for number, kind in enumerate(kinds):
        event = _outcome(delivery.Sent, hours=1)
        if kind is delivery.Failed:
            event = delivery.Failed(occurred_at=NOON + timedelta(hours=9), round=1, reason=reason)
        fold.apply(state, event, str(number))
    expected = None if ends is None else NOON + timedelta(hours=ends)
    assert rows.expiry(state, timedelta(hours=24)) == expected


def test_a_later_deferral_does_not_carry_the_email_into_the_archive_again() -> None:
    request = a_request(at=NOON)
    assert isinstance(request.event, submission.Requested)
    reason = delivery.Reason(code="450", message="no", category="x", retryable=True, suggested_action="none")
    deferred = delivery.Deferred(
        occurred_at=NOON,
        round=1,
        reason=reason,
        next_attempt_at=NOON,
        expires_at=NOON,
        email=request.event.email,
    )
    (archived,) = rows.archived([a_record(deferred, email_id=request.email_id)])
    assert b"boundary" not in archived[-1]
