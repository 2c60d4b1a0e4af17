import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from services.gateway.emails import index, store
from services.projector import store as read_model
from shared.events import delivery, email, submission
from shared.events.base import AccountId, EmailId, Event, EventId, WorkspaceId
from shared.events.record import Record
from shared.mail.address import Mailbox
from tests.integration.gateway.emails.door import Behind, Door

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ACCOUNT = "0e6a3a52-0000-4000-8000-000000000001"
OTHER = "0e6a3a52-0000-4000-8000-000000000002"
SENT = delivery.Sent(occurred_at=NOON, round=1, attempt=1, claim_id="c")
CLAIM = delivery.Sending(occurred_at=NOON, round=1, attempt=1, claim_id="c", account_id=AccountId(ACCOUNT))


def _email(name: str, **fields: Any) -> email.Email:
    values: dict[str, Any] = {
        "message_id": f"<{name}@sendlog.test>",
        "date": NOON,
        "boundary": "b",
        "from_": Mailbox("hello@sendlog.test", "Sendlog"),
        "to": (Mailbox(f"{name}@world.test"),),
        "subject": name,
        "account_id": AccountId(ACCOUNT),
    }
    return email.Email(**(values | fields))


async def _project(behind: Behind, *stories: tuple[email.Email, datetime, tuple[Event, ...]]) -> list[str]:
    """Give each email a row, created at its time, and return their ids."""
    records, ids = [], []
    for number, (sent, created_at, later) in enumerate(stories):
        email_id = EmailId(str(uuid.uuid4()))
        ids.append(str(email_id))
        release: submission.Release = "at" if sent.scheduled_at else "now"
        first = submission.Requested(occurred_at=created_at, release=release, email=sent)
        records += [
            Record(
                WorkspaceId(behind.name), email_id, EventId(str(uuid.uuid4())), event, number * 10 + place + 1
            )
            for place, event in enumerate((first, *later))
        ]
    await read_model.project(behind.pool, records)
    return ids


async def _subjects(door: Door, **query: str) -> list[str]:
    answer = await door.list_(urlencode(query))
    assert answer.status == 200, answer.body
    return [row["subject"] for row in answer.data]


@pytest.fixture
async def three(behind: Behind) -> None:
    """Alpha (oldest, sent), beta (scheduled) and gamma (newest, queued)."""
    await _project(
        behind,
        (
            _email("alpha", cc=(Mailbox("Carol@World.test"),), tags=("a", "b"), batch_id="batch-1"),
            NOON,
            (CLAIM, SENT),
        ),
        (
            _email(
                "beta",
                account_id=AccountId(OTHER),
                scheduled_at=NOON + timedelta(days=2),
                from_=Mailbox("Büro@bücher.test", "Büro"),
            ),
            NOON + timedelta(hours=1),
            (),
        ),
        (
            _email("gamma", subject="100%_sure \\ Größe", bcc=(Mailbox("dan@world.test"),), tags=("b",)),
            NOON + timedelta(hours=2),
            (),
        ),
    )


GAMMA = "100%_sure \\ Größe"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [GAMMA, "beta", "alpha"]),
        ({"sort": "created_at"}, ["alpha", "beta", GAMMA]),
        ({"sort": "-created_at"}, [GAMMA, "beta", "alpha"]),
        ({"status": "sent"}, ["alpha"]),
        ({"status": "queued,scheduled"}, [GAMMA, "beta"]),
        ({"status": "failed"}, []),
        ({"unified_status": "scheduled"}, ["beta"]),
        ({"to": "ALPHA@world.test"}, ["alpha"]),
        ({"to": "carol@world.test"}, ["alpha"]),
        ({"to": "Dan <dan@world.test>"}, [GAMMA]),
        ({"to": "lpha@wor"}, ["alpha"]),
        ({"to": "nobody@world.test"}, []),
        ({"from": "hello@sendlog.test"}, [GAMMA, "alpha"]),
        ({"from": "büro@xn--bcher-kva.test"}, ["beta"]),
        ({"from": "@xn--"}, ["beta"]),
        ({"subject": "ALPH"}, ["alpha"]),
        ({"subject": "%_"}, [GAMMA]),
        ({"subject": "%"}, [GAMMA]),
        ({"subject": "_"}, [GAMMA]),
        ({"subject": "\\"}, [GAMMA]),
        ({"subject": "größe"}, [GAMMA]),
        ({"q": "beta"}, ["beta"]),
        ({"q": "DAN@"}, [GAMMA]),
        ({"q": "sendlog.test"}, [GAMMA, "alpha"]),
        ({"q": "carol"}, ["alpha"]),
        ({"tag": "b"}, [GAMMA, "alpha"]),
        ({"tag": "a"}, ["alpha"]),
        ({"tag": "A"}, []),
        ({"batch_id": "batch-1"}, ["alpha"]),
        ({"smtp_account_id": OTHER.upper()}, ["beta"]),
        ({"created_after": "2026-11-24T13:00:00Z"}, [GAMMA, "beta"]),
        ({"created_before": "2026-11-24T13:00:00Z"}, ["alpha"]),
        ({"created_after": "2026-11-24T14:00:00+01:00", "created_before": "2026-11-24T14:00:00Z"}, ["beta"]),
        ({"scheduled_after": "2026-11-26T12:00:00Z"}, ["beta"]),
        ({"scheduled_after": "2026-11-26T12:00:01Z"}, []),
        ({"scheduled_before": "2026-11-27T00:00:00Z"}, ["beta"]),
        ({"status": "sent", "tag": "b", "to": "carol@world.test", "subject": "a", "q": "alpha"}, ["alpha"]),
        ({"status": "sent", "tag": "b", "subject": "gamma"}, []),
    ],
)
@pytest.mark.usefixtures("three")
async def test_each_filter_finds_what_it_names(
    door: Door, query: dict[str, str], expected: list[str]
) -> None:
    assert await _subjects(door, **query) == expected


@pytest.mark.usefixtures("three")
async def test_a_row_is_the_email_as_get_shows_it(door: Door) -> None:
    answer = await door.list_()
    for row in answer.data:
        assert (await door.show(row["id"])).data == row
    meta = answer.body["meta"]
    assert meta.pop("projected_at") is not None
    assert meta == {"page": 1, "per_page": 20, "total": 3, "total_pages": 1, "next_cursor": None}


@pytest.mark.usefixtures("three")
async def test_nobody_lists_anothers_emails(door: Door, behind: Behind) -> None:
    token, _ = await behind.workspace(f"{behind.name}-other")
    other = await Door(door.url, token, door.session).list_()
    assert (other.data, other.body["meta"]["total"]) == ([], 0)


async def test_pages_and_cursors_tell_the_same_list(door: Door, behind: Behind) -> None:
    # Five share each moment: the order among them must be the same on every page.
    await _project(behind, *((_email(f"n{n}"), NOON + timedelta(seconds=n // 5), ()) for n in range(23)))
    whole = [row["id"] for row in (await door.list_("per_page=100")).data]
    assert len(set(whole)) == 23
    by_page = [
        row["id"] for page in range(1, 6) for row in (await door.list_(f"per_page=5&page={page}")).data
    ]
    assert by_page == whole
    for sort, expected in (("-created_at", whole), ("created_at", whole[::-1])):
        by_cursor, query = [], f"per_page=5&sort={sort}"
        cursor = ""
        while True:
            answer = await door.list_(query + cursor)
            by_cursor += [row["id"] for row in answer.data]
            assert answer.body["meta"]["page"] == 1
            assert answer.body["meta"]["total"] == 23
            if answer.body["meta"]["next_cursor"] is None:
                break
            cursor = f"&cursor={quote(answer.body['meta']['next_cursor'])}"
        assert by_cursor == expected


async def test_what_arrives_meanwhile_neither_repeats_nor_skips_a_row(door: Door, behind: Behind) -> None:
    await _project(behind, *((_email(f"old{n}"), NOON + timedelta(seconds=n), ()) for n in range(10)))
    first = await door.list_("per_page=4")
    await _project(behind, *((_email(f"new{n}"), NOON + timedelta(hours=n), ()) for n in range(1, 6)))
    second = await door.list_(f"per_page=4&cursor={first.body['meta']['next_cursor']}")
    assert [row["subject"] for row in first.data + second.data] == [f"old{n}" for n in range(9, 1, -1)]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("status=lost", "$.status"),
        ("page=0", "$.page"),
        ("page=x", "$.page"),
        ("per_page=101", "$.per_page"),
        ("cursor=nonsense", "$.cursor"),
        ("sort=subject", "$.sort"),
        ("created_after=yesterday", "$.created_after"),
        ("smtp_account_id=x", "$.smtp_account_id"),
        ("colour=red", "$.colour"),
        ("tag=a&tag=b", "$.tag"),
        ("subject=%00", "$.subject"),
        ("subject=", "$.subject"),
    ],
)
async def test_a_bad_query_is_400_and_names_the_parameter(door: Door, query: str, path: str) -> None:
    answer = await door.list_(query)
    assert (answer.status, answer.paths) == (400, [path])


async def test_all_problems_of_a_query_are_listed(door: Door) -> None:
    answer = await door.list_("status=lost&page=0&sort=x")
    assert sorted(answer.paths) == ["$.page", "$.sort", "$.status"]


async def test_a_total_beyond_ten_thousand_is_an_estimate_and_says_so(door: Door, behind: Behind) -> None:
    (template,) = await _project(behind, (_email("one"), NOON, ()))
    columns = "workspace, status, unified_status, state, last_sequence"
    await behind.pool.execute(
        f"INSERT INTO projector.emails (email_id, created_at, {columns}) "
        f"SELECT gen_random_uuid(), $2::timestamptz + n * interval '1 second', {columns} "
        "FROM projector.emails, generate_series(1, 10999) n WHERE email_id = $1",
        template,
        NOON,
    )
    await behind.pool.execute("ANALYZE projector.emails")
    meta = (await door.list_("per_page=100&page=90")).body["meta"]
    assert meta["total_estimated"] is True
    assert 10_001 <= meta["total"] <= 14_000
    exact = (await door.list_("created_before=2026-11-24T12:30:00Z")).body["meta"]
    assert exact["total"] == 1800
    assert "total_estimated" not in exact


async def test_a_sender_of_few_among_many_is_found_by_an_index(door: Door, behind: Behind) -> None:
    (template,) = await _project(behind, (_email("one"), NOON, ()))
    columns = "workspace, status, unified_status, state, last_sequence"
    await behind.pool.execute(
        f"INSERT INTO projector.emails (email_id, created_at, from_address, {columns}) SELECT gen_random_uuid(), "
        f"$2::timestamptz + n * interval '1 second', CASE n WHEN 9 THEN 'rare' ELSE 'usual' END || '@world.test', {columns} "
        "FROM projector.emails, generate_series(1, 20000) n WHERE email_id = $1",
        template,
        NOON,
    )
    await behind.pool.execute("ANALYZE projector.emails")
    assert (await door.list_("from=rare@world.test")).body["meta"]["total"] == 1
    asked = index.Conditions(behind.name, [("from", "rare@world.test")])
    statement = store.SQL["page"].format(
        where=asked.where, order=store.SQL["newest_first"], limit=21, offset=0
    )
    plan = await behind.pool.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *asked.arguments)
    assert "emails_by_sender" in plan
