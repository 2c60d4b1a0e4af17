"""`show`, `list`, `cancel`, `reschedule`: what a person sees, and what a program gets."""

import json
from typing import Any

import pytest

from tests.integration.cli.stub_api import EMAIL, CommandLine, StubApi

ID = EMAIL["id"]


def _row(number: int) -> dict[str, Any]:
    return EMAIL | {"id": f"{number:08d}-0000-4000-8000-000000000000", "subject": f"subject {number}"}


async def test_show_tells_the_whole_story(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/emails/{ID}", EMAIL)
    said = await cli("show", ID)
    assert said.code == 0
    assert api.asked[0].query == {"include": "attempts,events"}
    for expected in (
        "Status        deferred (told as queued)",
        "Why           450 4.2.1 busy",
        "              mailbox_busy; will be tried again",
        "Do            wait",
        "Subject       Hello ␛[31mred␛[0m",
        "Attachments   a␛[31m.pdf, application/pdf, 51,200 bytes",
        "              logo.png, image/png, 9 bytes",
        "Metadata      order=4711",
        "to    bob@world.test  deferred  450 4.2.1  busy",
        "2026-11-24 12:00:00.123Z  +0 ms     requested  release now",
        "2026-11-24 12:00:00.130Z  +7 ms     sending    attempt 1; round 1",
        "Attempt 1 (round 1): deferred",
        "Session   new, TLSv1.3, ended in done",
        "       0.5 ms  EHLO client                                   250-mx.world.test",
        "                                                             250 SIZE",
        "       3.2 ms  RCPT TO:<bob@world.test>                      450 4.2.1 ␛]0;busy␇",
        "       4.0 ms  .                                             (no reply)",
    ):
        assert expected in said.out, said.out


async def test_show_tells_when_somebody_unsubscribed(api: StubApi, cli: CommandLine) -> None:
    left = [
        {
            "type": "email.unsubscribed",
            "occurred_at": f"2026-11-24T1{hour}:00:00.000Z",
            "data": {"via": "page"},
        }
        for hour in (4, 3)
    ]
    api.answer("GET", f"/emails/{ID}", EMAIL | {"events": [*EMAIL["events"], *left]})
    head = (await cli("show", ID)).out.partition("Timeline")[0]
    assert "Unsubscribed  2026-11-24 13:00:00.000Z" in head


async def test_nothing_a_stranger_wrote_reaches_the_terminal_as_it_is(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/emails/{ID}", EMAIL | {"text": "a\x1b[2Jb", "html": "\x9b2J"})
    api.answer("GET", "/emails", [EMAIL])
    for words in (("show", ID, "--content"), ("show", ID, "--json"), ("list",), ("list", "--json")):
        said = await cli(*words)
        assert not set(said.out) & {"\x1b", "\x07", "\x9b"}


async def test_content_is_asked_for_when_wanted(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/emails/{ID}", EMAIL | {"text": "line one\nline two", "html": None})
    said = await cli("show", ID, "--content")
    assert api.asked[0].query == {"include": "attempts,events,content"}
    assert said.out.endswith("\ntext\nline one\nline two\n")


@pytest.mark.parametrize(
    ("words", "method", "path", "data"),
    [
        (("show", ID), "GET", f"/emails/{ID}", EMAIL),
        (("cancel", ID), "DELETE", f"/emails/{ID}", {"id": ID, "status": "cancelled"}),
        (
            ("reschedule", ID, "2027-01-01T00:00:00Z"),
            "PATCH",
            f"/emails/{ID}",
            {"id": ID, "status": "scheduled"},
        ),
        (("list",), "GET", "/emails", [EMAIL]),
        (("accounts", "list"), "GET", "/accounts", []),
        (("keys", "list"), "GET", "/keys", []),
        (("keys", "remove", ID), "DELETE", f"/keys/{ID}", {"id": ID, "name": "\u202ex"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_json_is_exactly_the_apis_data(
    api: StubApi, cli: CommandLine, words: tuple[str, ...], method: str, path: str, data: Any
) -> None:
    api.answer(method, path, data)
    said = await cli(*words, "--json")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == data


async def test_what_is_not_there_is_a_no(api: StubApi, cli: CommandLine) -> None:
    api.refuse("GET", f"/emails/{ID}", 404, "NOT_FOUND", "there is no such email")
    assert await cli("show", ID) == (1, "", "sendlog: there is no such email\n")


async def test_an_id_cannot_lead_elsewhere(api: StubApi, cli: CommandLine) -> None:
    assert (await cli("show", "../keys?x=y")).code == 1
    assert api.asked[0].path == "/emails/..%2Fkeys%3Fx%3Dy"


async def test_a_list_is_read_as_far_as_asked(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/emails", [_row(n) for n in range(100)], meta={"next_cursor": "c1", "total": 130})
    api.answer("GET", "/emails", [_row(n) for n in range(100, 130)], meta={"next_cursor": None})
    said = await cli("list", "--limit", "500", "--json")
    assert len(json.loads(said.out)) == 130
    assert [asked.query.get("cursor") for asked in api.asked] == [None, "c1"]
    assert api.asked[0].query == {"per_page": "100"}


async def test_filters_are_handed_on(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/emails", [])
    account = "0e6a3a52-0000-4000-8000-000000000001"
    api.answer("GET", f"/accounts/{account}", {"id": account})
    words = [
        "--status",
        "sent,failed",
        "--unified-status",
        "queued",
        "--to",
        "a@b.test",
        "--from",
        "x",
        "--q",
        "y",
    ]
    words += ["--subject", "s", "--tag", "t", "--batch-id", "b", "--account", account, "--oldest-first"]
    await cli("list", *words, "--created-after", "2026-01-01T00:00:00Z", "--limit", "5")
    assert api.asked[-1].query == {
        "status": "sent,failed",
        "unified_status": "queued",
        "to": "a@b.test",
        "from": "x",
        "q": "y",
        "subject": "s",
        "tag": "t",
        "batch_id": "b",
        "smtp_account_id": account,
        "created_after": "2026-01-01T00:00:00Z",
        "sort": "created_at",
        "per_page": "5",
    }


async def test_a_list_is_one_line_an_email(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/emails", [_row(1)], meta={"total": 1})
    said = await cli("list")
    assert said.err == ""
    assert said.out.splitlines()[1] == (
        "00000001-0000-4000-8000-000000000000  2026-11-24 12:00:00.123Z  queued  ann@world.test +1  subject 1"
    )


async def test_too_late_is_a_no_that_says_where_it_is(api: StubApi, cli: CommandLine) -> None:
    details = [{"path": "$.status", "message": "sent"}]
    api.refuse("DELETE", f"/emails/{ID}", 409, "CONFLICT", "it cannot be cancelled", details=details)
    assert await cli("cancel", ID) == (1, "", "sendlog: it cannot be cancelled: $.status sent\n")


async def test_a_new_time_may_be_relative(api: StubApi, cli: CommandLine) -> None:
    answer = {"id": ID, "status": "scheduled", "scheduled_at": "2027-01-01T00:00:00Z"}
    api.answer("PATCH", f"/emails/{ID}", answer)
    assert (await cli("reschedule", ID, "+10m")).out == "scheduled for 2027-01-01 00:00:00.000Z\n"
    assert api.asked[0].body["scheduled_at"].endswith("Z")
