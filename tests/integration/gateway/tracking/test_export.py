"""GET /tracking/export: everything that came back, as one file of either kind, of flat memory."""

import csv
import io
import json
import os
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest

from shared.events import signal
from tests.controls.emails import NOON
from tests.controls.eventually import eventually
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Behind, Door
from tests.integration.gateway.tracking.conftest import OTHER, life, opened, project


async def export(door: Door, method: str = "GET", **query: str) -> tuple[aiohttp.ClientResponse, str]:
    url = f"{door.url}/api/v1/tracking/export?{urlencode(query)}"
    async with door.session.request(method, url, headers={"Authorization": f"Bearer {door.token}"}) as answer:
        return answer, await answer.text()


async def lines(door: Door, **query: str) -> list[dict[str, Any]]:
    answer, text = await export(door, **query)
    assert answer.status == 200, text
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
async def ids(behind: Behind) -> list[str]:
    evil = signal.Clicked(
        occurred_at=NOON + timedelta(hours=1), url="https://a.test/?q=1", user_agent='=1+1, "x"\nMozilla'
    )
    return await project(
        behind,
        life(evil, opened(0, ip_address="192.0.2.1"), tags=("a",)),
        life(signal.Replied(occurred_at=NOON, snippet="+1 from me"), signal.AutoReplied(occurred_at=NOON)),
        life(opened(2), days=1, account_id=OTHER, tags=("a", "b")),
    )


async def test_lines_are_what_one_emails_tracking_tells_oldest_first(door: Door, ids: list[str]) -> None:
    answer, text = await export(door)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="tracking-')
    found = [json.loads(line) for line in text.splitlines()]
    assert [one["createdAt"] for one in found] == sorted(one["createdAt"] for one in found)
    for email_id in ids:
        told = await door.ask("GET", f"/tracking/{email_id}")
        assert told.data == [one for one in found if one["emailId"] == email_id]
    assert len(found) == 4


async def test_a_spreadsheet_computes_nothing_in_it(door: Door, ids: list[str]) -> None:
    answer, text = await export(door, format="csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert sorted(row["type"] for row in rows) == ["click", "open", "open", "replied"]
    click = next(row for row in rows if row["type"] == "click")
    assert click["userAgent"] == '\'=1+1, "x"\nMozilla'
    assert click["emailId"] == ids[0]
    assert next(row for row in rows if row["type"] == "replied")["reason"] == "'+1 from me"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row.values())


@pytest.mark.usefixtures("ids")
async def test_a_part_may_be_asked_for(door: Door) -> None:
    async def count(**query: str) -> int:
        return len(await lines(door, **query))

    assert await count(type="open") == 2
    assert await count(type="open,click") == 3
    assert await count(tag="a") == 3
    assert await count(tag="a", smtp_account_id=OTHER) == 1
    assert await count(**{"from": "2026-11-24T13:00:00Z"}) == 2
    assert await count(to="2026-11-24T13:00:00Z") == 2
    assert await count(**{"from": "2030-01-01T00:00:00Z"}) == 0


@pytest.mark.usefixtures("ids")
async def test_no_workspace_is_given_anothers_signals(door: Door, behind: Behind, house: House) -> None:
    token, _ = await behind.workspace(f"{behind.name}-other")
    assert await lines(Door(house.url, token, door.session)) == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"format": "xlsx"}, "$.format"),
        ({"type": "opened"}, "$.type"),
        ({"from": "x"}, "$.from"),
        ({"from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"}, "$.to"),
        ({"smtp_account_id": "x"}, "$.smtp_account_id"),
        ({"limit": "3"}, "$.limit"),
    ],
)
async def test_a_selection_that_is_wrong_is_refused_by_its_field(
    door: Door, query: dict[str, str], path: str
) -> None:
    answer, text = await export(door, **query)
    assert answer.status == 400
    assert [problem["path"] for problem in json.loads(text)["error"]["details"]] == [path]


async def test_only_the_head_leaves_nothing_behind(door: Door) -> None:
    for _ in range(20):
        answer, text = await export(door, method="HEAD")
        assert (answer.status, text) == (200, "")
    assert await lines(door) == []


async def _clicks(behind: Behind, count: int, url: str) -> None:
    """Archive that many clicks, one each second, of an email of their own."""
    (email_id,) = await project(behind, life())
    payload = msgspec.json.encode(signal.Clicked(occurred_at=NOON, url=url))
    kind = signal.Clicked.type_name()
    at = [NOON + timedelta(seconds=n) for n in range(count)]
    await behind.pool.copy_records_to_table(
        "events",
        schema_name="projector",
        columns=("workspace", "email_id", "event_id", "sequence", "type", "occurred_at", "payload"),
        records=[
            (behind.name, uuid.UUID(email_id), f"{n:09d}", 10**9 + n, kind, at[n], payload)
            for n in range(count)
        ],
    )


async def test_a_hundred_thousand_are_exported_with_flat_memory_while_others_ask(
    door: Door, behind: Behind, house: House
) -> None:
    await _clicks(behind, 100_000, f"https://a.test/{'x' * 200}")
    await lines(door, to="2026-11-24T13:00:00Z")
    before, most = _memory(house.pid), 0
    count = 0
    async with door.session.get(
        f"{door.url}/api/v1/tracking/export", headers={"Authorization": f"Bearer {door.token}"}
    ) as answer:
        async for piece in answer.content.iter_any():
            count += piece.count(b"\n")
            most = max(most, _memory(house.pid))
    assert count == 100_000
    assert most - before < 20_000_000


async def test_more_exports_than_may_be_at_once_are_put_off(door: Door, behind: Behind) -> None:
    await _clicks(behind, 20_000, f"https://a.test/{'x' * 2000}")
    url, head = f"{door.url}/api/v1/tracking/export", {"Authorization": f"Bearer {door.token}"}
    slow = [await door.session.get(url, headers=head) for _ in range(4)]
    for answer in slow:
        assert answer.status == 200
        await answer.content.readany()
    refused, text = await export(door)
    assert (refused.status, json.loads(text)["error"]["code"]) == (503, "UNAVAILABLE")
    assert (await door.ask("GET", "/tracking/stats")).status == 200
    for answer in slow:
        answer.close()

    async def is_free() -> bool:
        return (await export(door, to="2020-01-01T00:00:00Z"))[0].status == 200

    await eventually(is_free, within=20)


def _memory(pid: int) -> int:
    """Return the resident set of a process, in bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
