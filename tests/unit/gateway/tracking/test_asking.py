"""What may be asked of statistics, exports and the feed; every problem is named by its field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.gateway.errors import ApiError
from services.gateway.tracking import asking, fields

NOW = datetime(2026, 11, 24, 12, 7, tzinfo=UTC)


def period(**asked: Any) -> asking.Period:
    return asking.period(fields.StatsQuery(**asked), NOW)


def refused(ask: Any, query: Any, *more: Any) -> list[str]:
    with pytest.raises(ApiError) as refusal:
        ask(query, *more)
    assert refusal.value.code == "VALIDATION_ERROR"
    return [problem.path for problem in refusal.value.details]


def test_thirty_days_by_day_until_now_is_what_is_told_unasked() -> None:
    found = period()
    assert found.begin == datetime(2026, 10, 25, 12, 0, tzinfo=UTC)
    assert found.end == datetime(2026, 11, 24, 12, 15, tzinfo=UTC)
    assert len(found.starts) == 31
    assert found.starts[0] == datetime(2026, 10, 25, tzinfo=UTC)


def test_the_period_that_is_told_unasked_has_room_for_its_hours() -> None:
    assert len(period(interval="hour", timezone="Europe/Berlin").starts) == 721


def test_an_end_alone_is_thirty_days_after_its_beginning() -> None:
    assert period(to="2020-03-31T00:00:00Z").begin == datetime(2020, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"from_": "yesterday"}, ["$.from"]),
        ({"from_": "2026-11-01T00:00:00"}, ["$.from"]),
        ({"from_": "0001-01-01T00:00:00Z"}, ["$.from"]),
        ({"to": "9999-12-31T23:59:59Z"}, ["$.to"]),
        ({"from_": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"}, ["$.to"]),
        ({"from_": "2026-11-02T00:00:00Z", "to": "2026-11-02T00:00:00Z"}, ["$.to"]),
        ({"from_": "2026-12-02T00:00:00Z"}, ["$.from"]),
        ({"from_": "2026-10-20T00:00:00Z", "interval": "hour"}, ["$.interval"]),
        ({"from_": "2020-01-01T00:00:00Z"}, ["$.interval"]),
        ({"from_": "1970-01-01T00:00:00Z", "interval": "week"}, ["$.interval"]),
        ({"timezone": "Mars/Olympus"}, ["$.timezone"]),
        ({"timezone": "Europe"}, ["$.timezone"]),
        ({"timezone": "../../etc/passwd"}, ["$.timezone"]),
        ({"timezone": "/etc/localtime"}, ["$.timezone"]),
        ({"timezone": ""}, ["$.timezone"]),
        ({"smtp_account_id": "x"}, ["$.smtp_account_id"]),
        ({"timezone": "", "from_": "", "smtp_account_id": ""}, ["$.timezone", "$.smtp_account_id", "$.from"]),
    ],
)
def test_what_cannot_be_counted_is_named(asked: dict[str, Any], wrong: list[str]) -> None:
    assert refused(asking.period, fields.StatsQuery(**asked), NOW) == wrong


def test_as_many_points_as_may_be_are_told() -> None:
    begin = (NOW - timedelta(hours=399)).isoformat()
    assert 399 <= len(period(from_=begin, to=NOW.isoformat(), interval="hour").starts) <= 401


def test_exports_take_the_words_of_the_other_routes() -> None:
    found = asking.selection(fields.ExportQuery(type="open,bounced"))
    assert found.types == ["sendlog.email.opened.v1", "sendlog.email.bounced.v1"]
    assert refused(asking.selection, fields.ExportQuery(type="open,opened")) == ["$.type"]
    assert refused(asking.selection, fields.ExportQuery(type="")) == ["$.type"]


@pytest.mark.parametrize("word", ["opened", "email.opened", "sendlog.email.opened.v1"])
def test_events_may_be_named_in_short_and_in_full(word: str) -> None:
    assert asking.place(fields.EventsQuery(types=word)) == (0, ["sendlog.email.opened.v1"])


def test_a_cursor_leads_back_to_its_place_and_a_foreign_one_nowhere() -> None:
    for sequence in (0, 1, 2**40):
        assert asking.place(fields.EventsQuery(after=asking.cursor(sequence))) == (sequence, None)
    for foreign in ("", "1", "abc", "ä", asking.cursor(-1), asking.cursor(5) + "AAAA", "_" * 11):
        assert refused(asking.place, fields.EventsQuery(after=foreign)) == ["$.after"]
    assert refused(asking.place, fields.EventsQuery(types="email.dreamt")) == ["$.types"]
