"""GET /tracking/stats: exact, by account, tag and interval, each workspace for itself."""

from typing import Any
from urllib.parse import urlencode

import pytest

from shared.events import signal
from tests.controls.emails import ACCOUNT, NOON
from tests.integration.gateway.emails.door import Answer, Behind, Door
from tests.integration.gateway.tracking.conftest import OTHER, life, opened, project

MONTH = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}


async def stats(door: Door, **query: str) -> dict[str, Any]:
    answer = await _ask(door, **query)
    assert answer.status == 200, answer.body
    data: dict[str, Any] = answer.data
    return data


async def _ask(door: Door, **query: str) -> Answer:
    return await door.ask("GET", f"/tracking/stats?{urlencode(MONTH | query)}")


@pytest.fixture
async def some(behind: Behind) -> None:
    clicked = signal.Clicked(occurred_at=NOON, url="https://a.test/")
    await project(
        behind,
        life(opened(0), opened(0.1), opened(0, machine=True), tags=("a", "b")),
        life(clicked, days=1, tags=("a",), account_id=OTHER),
        life(signal.Delivered(occurred_at=NOON, recipient="ann@world.test"), days=2),
    )


@pytest.mark.usefixtures("some")
async def test_totals_unique_counts_and_rates(door: Door) -> None:
    told = await stats(door)
    totals, unique = told["totals"], told["unique"]
    assert (totals["accepted"], totals["sent"], totals["delivered"]) == (3, 3, 1)
    assert (totals["opened"], totals["clicked"], totals["machine_opened"]) == (2, 1, 1)
    assert (unique["opened"], unique["clicked"], unique["delivered"]) == (2, 1, 1)  # a click is an opening
    assert told["rates"]["open"] == 0.666667
    assert told["rates"]["click_to_open"] == 0.5
    assert told["rates"]["bounce"] == 0.0


@pytest.mark.usefixtures("some")
async def test_accounts_and_tags_are_counted_apart(door: Door) -> None:
    async def sent(**query: str) -> tuple[int, int]:
        told = await stats(door, **query)
        return told["totals"]["sent"], told["unique"]["opened"]

    assert await sent(tag="a") == (2, 2)
    assert await sent(tag="b") == (1, 1)
    assert await sent(smtp_account_id=OTHER) == (1, 1)
    assert await sent(smtp_account_id=ACCOUNT) == (2, 1)
    assert await sent(smtp_account_id=OTHER, tag="a") == (1, 1)
    assert await sent(smtp_account_id=OTHER, tag="b") == (0, 0)
    assert await sent(tag="nobody's") == (0, 0)


@pytest.mark.usefixtures("some")
async def test_every_interval_is_told_and_adds_up(door: Door) -> None:
    told = await stats(door, interval="day", timezone="Europe/Berlin")
    assert len(told["series"]) == 31
    assert told["series"][0]["at"] == "2026-10-31T23:00:00Z"
    on = {point["at"]: point["totals"]["sent"] for point in told["series"] if point["totals"]["sent"]}
    assert on == {"2026-11-23T23:00:00Z": 1, "2026-11-24T23:00:00Z": 1, "2026-11-25T23:00:00Z": 1}
    weeks = await stats(door, interval="week")
    assert [point["totals"]["sent"] for point in weeks["series"]] == [0, 0, 0, 0, 3, 0]
    assert weeks["series"][0]["at"] == "2026-10-26T00:00:00Z"
    hours = await stats(
        door, interval="hour", **{"from": "2026-11-24T00:00:00Z", "to": "2026-11-25T00:00:00Z"}
    )
    assert [place for place, point in enumerate(hours["series"]) if point["totals"]["opened"]] == [12, 14]
    assert len(hours["series"]) == 24


@pytest.mark.usefixtures("some")
async def test_what_is_outside_the_period_is_not_counted(door: Door) -> None:
    async def accepted(begin: str, end: str) -> int:
        told = await stats(door, **{"from": begin, "to": end})
        return int(told["totals"]["accepted"])

    assert await accepted("2026-11-24T12:00:00Z", "2026-11-24T12:15:00Z") == 1
    assert await accepted("2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z") == 0
    assert await accepted("2026-11-24T12:15:00Z", "2026-11-25T12:00:00Z") == 0


@pytest.mark.usefixtures("some")
async def test_no_workspace_counts_anothers_emails(door: Door, behind: Behind, house: Any) -> None:
    token, _ = await behind.workspace(f"{behind.name}-other")
    other = Door(house.url, token, door.session)
    assert (await stats(other))["totals"]["accepted"] == 0
    assert (await stats(other, smtp_account_id=ACCOUNT, tag="a"))["totals"]["accepted"] == 0


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"from": "today"}, "$.from"),
        ({"to": "2020-01-01T00:00:00Z"}, "$.to"),
        ({"interval": "month"}, "$.interval"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z", "interval": "hour"}, "$.interval"),
        ({"timezone": "Nowhere"}, "$.timezone"),
        ({"smtp_account_id": "1"}, "$.smtp_account_id"),
        ({"tag": ""}, "$.tag"),
        ({"colour": "red"}, "$.colour"),
    ],
)
async def test_a_question_that_is_wrong_is_refused_by_its_field(
    door: Door, query: dict[str, str], path: str
) -> None:
    answer = await _ask(door, **query)
    assert (answer.status, answer.error["code"], answer.paths) == (400, "VALIDATION_ERROR", [path])


async def test_thirty_days_until_now_are_told_unasked(door: Door) -> None:
    answer = await door.ask("GET", "/tracking/stats")
    assert answer.status == 200
    assert len(answer.data["series"]) == 31
    assert answer.body["meta"]["projected_at"].endswith("Z")
