"""GET /events: every event once, in the order of the log, also what is trimmed, and nothing that may yet be passed by."""

import random
import uuid
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from services.gateway.tracking import asking, feed, fields
from services.projector import store
from shared.events import signal
from shared.events.base import EmailId, EventId, WorkspaceId
from shared.events.record import Record, payload
from tests.controls.emails import NOON
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Answer, Behind, Door
from tests.integration.gateway.tracking.conftest import life, opened, project, reach


async def page(door: Door, **query: Any) -> Answer:
    answer = await door.ask("GET", f"/events?{urlencode(query)}")
    assert answer.status == 200, answer.body
    return answer


async def all_of(door: Door, **query: Any) -> list[dict[str, Any]]:
    """Follow the feed to its end."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await page(door, **query)
        found += answer.data
        query["after"] = answer.body["meta"]["next_cursor"]
        if not answer.body["meta"]["has_more"]:
            return found


async def test_the_feed_has_what_the_log_has_without_content(door: Door, behind: Behind) -> None:
    sent = await door.sent(tags=["a"])
    await behind.append(sent["id"], opened(0, ip_address="192.0.2.1"))
    await behind.project(sent["id"])
    records = await behind.history(sent["id"])
    await reach(behind, records[-1].sequence)
    await behind.trim(sent["id"])
    found = await all_of(door)
    assert [one["id"] for one in found] == [record.event_id for record in records]
    assert [one["type"] for one in found] == ["email.requested", "email.opened"]
    assert found[1]["event_type"] == "sendlog.email.opened.v1"
    for one, record in zip(found, records, strict=True):
        assert one["data"] == msgspec.json.decode(payload(record.event.without_content()))
        assert one["email_id"] == sent["id"]
        assert one["occurred_at"] == one["data"]["occurred_at"]
    assert "body" not in found[0]["data"]["email"]


async def test_pages_of_any_size_have_each_event_once_in_the_logs_order(door: Door, behind: Behind) -> None:
    await project(behind, *(life(opened(number)) for number in range(9)))
    whole = [one["id"] for one in await all_of(door)]
    assert len(set(whole)) == 36
    for limit in (1, 7, 36, 1000):
        assert [one["id"] for one in await all_of(door, limit=limit)] == whole


async def test_a_cursor_at_the_end_goes_on_when_something_happens(door: Door, behind: Behind) -> None:
    await project(behind, life())
    end = (await page(door)).body["meta"]
    assert end["has_more"] is False
    assert (await page(door, after=end["next_cursor"])).data == []
    await project(behind, life())
    assert len((await page(door, after=end["next_cursor"])).data) == 3


async def test_types_are_picked_out_also_where_they_are_rare(
    door: Door, behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    await project(behind, *(life() for _ in range(40)), life(opened(0)), *(life() for _ in range(40)))
    for types in ("email.opened", "opened", "sendlog.email.opened.v1", "email.opened,email.clicked"):
        assert [one["type"] for one in await all_of(door, types=types)] == ["email.opened"]
    monkeypatch.setattr(feed, "LOOKED_AT", 50)  # in this process, for the gateway is one of its own
    found: list[fields.FeedEvent] = []
    after, pages, more = 0, 0, True
    while more:
        some, meta = await feed.after(behind.pool, behind.name, after, ["sendlog.email.opened.v1"], 10)
        (after, _), more = asking.place(fields.EventsQuery(after=meta.next_cursor)), meta.has_more
        found, pages = found + some, pages + 1
    assert ([one.type for one in found], pages) == (["email.opened"], 5)


@pytest.mark.parametrize("seed", range(5))
async def test_a_record_that_is_archived_late_is_never_skipped(door: Door, behind: Behind, seed: int) -> None:
    """Records are archived in any order; the point up to which all are there moves on as the projector says."""
    dice = random.Random(seed)
    first = 10**12 + seed * 10**6  # of this workspace alone
    email_id = EmailId(str(uuid.uuid4()))
    records = [
        Record(WorkspaceId(behind.name), email_id, EventId(str(uuid.uuid4())), event, first + number)
        for number, event in enumerate([*life(), *(opened(n) for n in range(60))])
    ]
    order = sorted(records, key=lambda record: record.sequence + dice.uniform(0, 15))
    archived: set[int] = set()
    after: dict[str, str] = {}
    told: list[str] = []
    for record in order:
        await store.project(behind.pool, [record])
        archived.add(record.sequence)
        whole = first
        while whole in archived:
            whole += 1
        await reach(behind, whole - 1)
        if dice.random() < 0.5:
            answer = await page(door, limit=dice.choice((1, 5, 100)), **after)
            told += [one["id"] for one in answer.data]
            after = {"after": answer.body["meta"]["next_cursor"]}
    told += [one["id"] for one in await all_of(door, **after)]
    assert told == [record.event_id for record in records]


async def test_what_newer_software_wrote_is_passed_on_as_it_is(door: Door, behind: Behind) -> None:
    (email_id,) = await project(behind, life())
    sequence = await behind.pool.fetchval(
        """INSERT INTO projector.events (workspace, email_id, event_id, sequence, type, occurred_at, payload)
           SELECT $1, $2, 'new', sequence + 1, 'sendlog.email.framed.v7', now(), '{"x": [1]}'
           FROM projector.progress RETURNING sequence""",
        behind.name,
        email_id,
    )
    await reach(behind, sequence)
    *_, last = await all_of(door)
    assert (last["type"], last["event_type"]) == ("email.framed", "sendlog.email.framed.v7")
    assert (last["id"], last["data"]) == ("new", {"x": [1]})


async def test_no_workspace_is_told_anothers_events(door: Door, behind: Behind, house: House) -> None:
    await project(behind, life(signal.Read(occurred_at=NOON)))
    cursor = (await page(door, limit=1)).body["meta"]["next_cursor"]
    token, _ = await behind.workspace(f"{behind.name}-other")
    other = Door(house.url, token, door.session)
    assert (await page(other)).data == []
    assert (await page(other, after=cursor)).data == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"after": "x"}, "$.after"),
        ({"types": "email.dreamt"}, "$.types"),
        ({"limit": "0"}, "$.limit"),
        ({"limit": "1001"}, "$.limit"),
    ],
)
async def test_a_question_that_is_wrong_is_refused_by_its_field(
    door: Door, query: dict[str, str], path: str
) -> None:
    answer = await door.ask("GET", f"/events?{urlencode(query)}")
    assert (answer.status, answer.paths) == (400, [path])
