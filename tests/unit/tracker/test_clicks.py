from datetime import UTC, datetime, timedelta

import pytest

from services.tracker import clicks
from services.tracker.clicks import Clicks
from services.tracker.hit import Hit

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_click(url: str, seconds: float = 0.0) -> Hit:
    at = NOON + timedelta(seconds=seconds)
    return Hit(kind="click", workspace="acme", email_id="e", event_id="x", at=at, url=url)


async def test_whoever_hammers_one_link_costs_no_more_than_who_follows_it() -> None:
    known = Clicks()
    for number in range(10_000):
        known.note(a_click("https://a.test/", number / 10_000))
    assert len(known.of(a_click(""))) <= 3


async def test_what_is_remembered_of_an_email_is_bounded() -> None:
    known = Clicks()
    for number in range(1000):
        known.note(a_click(f"https://a.test/{number}"))
    assert len(known.of(a_click(""))) == clicks.MOST


async def test_what_no_later_click_can_be_compared_with_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Clicks()
    known.note(a_click("https://a.test/"))
    known.forget()
    assert known.of(a_click(""))
    monkeypatch.setattr(clicks, "FORGOTTEN_AFTER", -1.0)
    known.forget()
    assert not known.of(a_click(""))
