"""Rates and sums: what they are parts of, and that nothing is divided by nothing."""

from datetime import UTC, datetime
from typing import Any

from services.gateway.tracking import asking, fields, statistics

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def a_row(place: int, **counts: int) -> dict[str, Any]:
    names = {*statistics._TOTALS.values(), *statistics._UNIQUE.values()}
    return {"place": place} | dict.fromkeys(names, 0) | counts


def test_every_interval_is_there_and_their_sums_are_the_totals() -> None:
    period = asking.period(fields.StatsQuery(), NOW)
    rows = [
        a_row(1, emails_sent=3, opened=4, emails_opened=2, machine_opened=9),
        a_row(30, emails_sent=5, opened=1, emails_opened=1, clicked=1, emails_clicked=1),
    ]
    told = statistics.told(rows, period, "day")
    assert len(told.series) == len(period.starts) == 31
    assert (told.totals.sent, told.totals.opened, told.totals.machine_opened) == (8, 5, 9)
    assert (told.series[0].totals.sent, told.series[29].totals.sent, told.series[5].totals.sent) == (3, 5, 0)
    assert (told.rates.open, told.rates.click, told.rates.click_to_open) == (0.375, 0.125, 0.333333)
    assert told.rates.bounce == 0.0


def test_more_than_there_was_is_no_part_of_it() -> None:
    rows = [a_row(1, emails_sent=2, emails_opened=3, opened=3, emails_clicked=2, emails_bounced=1)]
    told = statistics.told(rows, asking.period(fields.StatsQuery(), NOW), "day").rates
    assert (told.open, told.click, told.bounce, told.click_to_open) == (None, 1.0, 0.5, 0.666667)


def test_a_part_of_nothing_is_not_told() -> None:
    told = statistics.told([], asking.period(fields.StatsQuery(), NOW), "day")
    assert set(told.rates.__struct_fields__) == {
        name for name in told.rates.__struct_fields__ if getattr(told.rates, name) is None
    }
    assert told.totals == fields.Totals()
