"""`stats`, and what `show` and `tail` tell of what came back."""

import json
from typing import Any

import msgspec
import pytest

from cli.failure import USAGE
from cli.show import summary
from cli.tail import line
from cli.terminal import Terminal
from services.gateway.tracking import fields, statistics
from shared.events import delivery, signal
from tests.controls.emails import NOON, a_record
from tests.integration.cli.stub_api import EMAIL, CommandLine, StubApi

GONE = delivery.Reason(
    code="550",
    enhanced_code="5.1.1",
    category="bad_mailbox",
    message="550 5.1.1 no such user",
    retryable=False,
    suggested_action="remove the address",
)
ANN = "ann@world.test"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            signal.Opened(
                occurred_at=NOON, recipient=ANN, ip_address="192.0.2.1", user_agent="Thunder\x1b[31m"
            ),
            "ann@world.test; 192.0.2.1; Thunder␛[31m",
        ),
        (
            signal.Opened(occurred_at=NOON, machine=True, reason="proxy", user_agent="Mozilla/5.0"),
            "a machine, no person (proxy); Mozilla/5.0",
        ),
        (signal.Clicked(occurred_at=NOON, url="https://a.test/x"), "https://a.test/x"),
        (
            signal.Bounced(
                occurred_at=NOON,
                recipient=ANN,
                kind="hard",
                reason=GONE,
                diagnostic="smtp; 550 5.1.1 no such user, really",
                raw_key="k",
            ),
            "ann@world.test; 550 5.1.1 no such user; hard bounce; smtp; 550 5.1.1 no such user, really; "
            "do: remove the address",
        ),
        (
            signal.Delayed(occurred_at=NOON, recipient=ANN, reason=GONE, raw_key="k"),
            "ann@world.test; 550 5.1.1 no such user; bad_mailbox; do: remove the address",
        ),
        (signal.Delivered(occurred_at=NOON, recipient=ANN, action="relayed"), "ann@world.test; relayed"),
        (
            signal.Replied(occurred_at=NOON, from_address="Ann <ann@world.test>", snippet="Yes,\nplease"),
            "from Ann <ann@world.test>; “Yes,␊please”",
        ),
        (
            signal.AutoReplied(occurred_at=NOON, from_address=ANN, reason="auto-submitted"),
            "from ann@world.test; an automatic answer (auto-submitted)",
        ),
        (signal.Complained(occurred_at=NOON, recipient=ANN, feedback_type="fraud"), "ann@world.test; fraud"),
        (signal.Unsubscribed(occurred_at=NOON, via="mail"), "by mail"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_show_and_tail_tell_who_from_where_and_what(event: signal.Signal, told: str) -> None:
    assert summary(msgspec.to_builtins(event)) == told
    assert line(a_record(event), Terminal()).endswith(told)


async def test_show_counts_people_and_machines_apart(api: StubApi, cli: CommandLine) -> None:
    seen = {
        "open_count": 2,
        "machine_open_count": 1,
        "click_count": 3,
        "first_opened_at": "2026-11-24T12:05:00Z",
    }
    api.answer("GET", f"/emails/{EMAIL['id']}", EMAIL | seen)
    said = await cli("show", EMAIL["id"])
    assert "Opens         2 by people, 1 by machines" in said.out
    assert "Clicks        3 by people" in said.out
    assert "Opened        2026-11-24 12:05:00.000Z" in said.out


def _stats() -> dict[str, Any]:
    totals = fields.Totals(
        accepted=1200, sent=1000, opened=700, machine_opened=90, bounced=10, hard_bounced=4
    )
    unique = fields.Unique(opened=500, bounced=8)
    built: dict[str, Any] = msgspec.to_builtins(
        fields.Stats(
            from_=NOON, to=NOON, interval="day", timezone="UTC", totals=totals, unique=unique,
            rates=statistics.rates(totals, unique), series=[fields.Point(at=NOON, totals=totals, unique=unique)],
        )
    )  # fmt: skip
    return built


async def test_stats_are_a_table_of_counts_and_rates(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/tracking/stats", _stats())
    said = await cli("stats", "--tag", "a", "--from", "2026-11-01T00:00:00Z", "--timezone", "Europe/Berlin")
    assert said.code == 0
    assert api.asked[0].query == {
        "tag": "a", "from": "2026-11-01T00:00:00+00:00", "timezone": "Europe/Berlin",
    }  # fmt: skip
    lines = [" ".join(row.split()) for row in said.out.splitlines()]
    for expected in (
        "sent 1,000",
        "opened 500 50.00 % 700",
        "machine opened 90",
        "bounced 8 0.80 % 10",
        "hard bounced 4",
    ):
        assert expected in lines, said.out
    assert "By day" not in said.out


async def test_stats_show_a_series_when_an_interval_is_named(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/tracking/stats", _stats())
    said = await cli("stats", "--interval", "day")
    assert api.asked[0].query == {"interval": "day"}
    assert "2026-11-24 12:00Z  1,000" in said.out
    assert json.loads((await cli("stats", "--json")).out) == _stats()


@pytest.mark.parametrize(
    ("zone", "began"),
    [("Europe/Berlin", "2026-11-24 13:00+0100"), ("Nowhere/Else", "2026-11-24 12:00Z")],
)
async def test_a_series_is_told_in_the_hours_of_its_time_zone(
    api: StubApi, cli: CommandLine, zone: str, began: str
) -> None:
    api.answer("GET", "/tracking/stats", _stats() | {"timezone": zone})
    assert f"{began}  1,000" in (await cli("stats", "--interval", "hour", "--timezone", zone)).out


async def test_stats_of_a_time_that_is_none_are_refused(api: StubApi, cli: CommandLine) -> None:
    assert (await cli("stats", "--from", "soon")).code == USAGE
    assert (await cli("stats", "--interval", "month")).code == USAGE
