"""One email's signals as they are told, and as cells of a file."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from services.gateway.suppressions import rows
from services.gateway.tracking import exporting, signals
from shared.events import delivery, signal
from tests.controls.emails import NOON, a_record

REASON = delivery.Reason(
    code="550", category="bad_mailbox", message="550 no such user", retryable=False, suggested_action="remove"
)


def told(event: signal.Signal) -> signals.Signal:
    found = signals.one(a_record(event))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("event", "kind", "reason"),
    [
        (signal.Opened(occurred_at=NOON, machine=True, reason="proxy"), "open", "proxy"),
        (signal.Clicked(occurred_at=NOON, url="https://a.test/"), "click", None),
        (signal.Delivered(occurred_at=NOON, action="relayed"), "delivered", "relayed"),
        (signal.Delayed(occurred_at=NOON, reason=REASON), "delayed", "550 no such user"),
        (signal.Bounced(occurred_at=NOON, kind="hard", reason=REASON), "bounced", "550 no such user"),
        (signal.Read(occurred_at=NOON), "read", None),
        (signal.Replied(occurred_at=NOON, snippet="Yes."), "replied", "Yes."),
        (signal.Complained(occurred_at=NOON), "complained", "abuse"),
        (signal.Unsubscribed(occurred_at=NOON, via="page"), "unsubscribed", "page"),
    ],
)
def test_every_signal_has_its_word_and_its_reason(
    event: signal.Signal, kind: str, reason: str | None
) -> None:
    assert (told(event).type, told(event).reason) == (kind, reason)


def test_what_no_person_did_is_told_only_in_the_timeline() -> None:
    assert signals.one(a_record(signal.AutoReplied(occurred_at=NOON))) is None
    assert signals.one(a_record(delivery.Sent(occurred_at=NOON, round=1, attempt=1))) is None


def test_signals_are_told_once_and_by_time() -> None:
    late, early = (
        a_record(signal.Opened(occurred_at=NOON + timedelta(hours=hours)), email_id="e") for hours in (2, 1)
    )
    assert [one.id for one in signals.shown([late, early, late])] == [early.event_id, late.event_id]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", '=HYPERLINK("https://x.test")'])
def test_no_cell_is_a_formula_and_all_can_be_read_back(evil: str) -> None:
    found = told(signal.Clicked(occurred_at=NOON, url=evil, user_agent=f'{evil}, "quoted"\nand more'))
    written = rows.written([exporting.COLUMNS, exporting._cells(found)]).decode()
    head, line = csv.reader(io.StringIO(written, newline=""))
    assert tuple(head) == exporting.COLUMNS
    cells: dict[str, Any] = dict(zip(head, line, strict=True))
    assert cells["url"] == f"'{evil}"
    assert cells["userAgent"] == f'\'{evil}, "quoted"\nand more'
    assert (cells["machine"], cells["ipAddress"], cells["type"]) == ("false", "", "click")
    assert cells["createdAt"] == "2026-11-24T12:00:00Z"
