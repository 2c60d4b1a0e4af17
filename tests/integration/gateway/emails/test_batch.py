import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.batches import SHARED, accepted, batch, is_replay, recipients
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import GOOD, Behind, Door


async def test_a_thousand_personalised_emails_are_each_their_own(door: Door, behind: Behind) -> None:
    answer = await accepted(door, recipients(1000))
    assert [item["to"] for item in answer.data] == [f"user{number}@world.test" for number in range(1000)]
    assert {item["status"] for item in answer.data} == {"queued"}
    meta = answer.body["meta"]
    assert (meta["total"], meta["accepted"], meta["rejected"]) == (1000, 1000, 0)
    assert len({item["id"] for item in answer.data}) == 1000
    assert await behind.emails_in_log() == 1000
    for number in (0, 17, 999):
        [requested] = await behind.history(answer.data[number]["id"])
        assert requested.event.release == "turn"
        assert requested.event.email.batch_id == meta["batch_id"]
        shown = (await door.show(answer.data[number]["id"], "content")).data
        assert shown["subject"] == f"Order {number}"
        assert shown["text"] == f"Dear User {number}, order {number}."
        assert (shown["status"], shown["batch_id"]) == ("queued", meta["batch_id"])


async def test_send_objects_keep_their_order_and_their_own_fields(door: Door, behind: Behind) -> None:
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answer = await accepted(
        door,
        {
            "emails": [
                GOOD | {"subject": "{{ not rendered }}"},
                GOOD | {"to": ["Bob <bob@world.test>", "carl@world.test", "BOB@world.test"]},
                GOOD | {"scheduled_at": at},
                GOOD | {"subject": "{{ x }}", "variables": {"x": "rendered"}},
            ]
        },
    )
    assert [item["status"] for item in answer.data] == ["queued", "queued", "scheduled", "queued"]
    assert answer.data[1]["to"] == ["Bob <bob@world.test>", "carl@world.test"]
    assert all(list(item) == ["id", "status", "to"] for item in answer.data)
    shown = [(await door.show(item["id"])).data for item in answer.data]
    assert [email["subject"] for email in shown] == ["{{ not rendered }}", "Welcome", "Welcome", "rendered"]
    assert [email["status"] for email in shown] == ["queued", "queued", "scheduled", "queued"]
    releases = [(await behind.history(item["id"]))[0].event.release for item in answer.data]
    assert releases == ["turn", "turn", "at", "turn"]


async def test_a_recipients_own_fields_replace_the_shared_ones(door: Door) -> None:
    body = {
        "subject": "{{ greeting }} {{ name }}",
        "text": "Shared.",
        "tags": ["shared"],
        "variables": {"greeting": "Hello", "name": "you"},
        "recipients": [
            {"to": "a@world.test"},
            {"to": "b@world.test", "variables": {"name": "Bob"}, "tags": ["own"], "text": "{{ greeting }}!"},
            {"to": "c@world.test", "text": None},
        ],
    }
    answer = await accepted(door, body)
    shown = [(await door.show(item["id"], "content")).data for item in answer.data]
    assert [email["subject"] for email in shown] == ["Hello you", "Hello Bob", "Hello you"]
    assert [email["text"] for email in shown] == ["Shared.", "Hello!", "Shared."]
    assert [email["tags"] for email in shown] == [["shared"], ["own"], ["shared"]]


async def test_one_bad_item_refuses_all_and_every_problem_is_told(door: Door, behind: Behind) -> None:
    answer = await batch(
        door,
        {
            "emails": [
                GOOD,
                GOOD | {"to": "nobody"},
                5,
                GOOD | {"subject": "a\r\nb", "color": "red", "scheduled_at": "2020-01-01T00:00:00Z"},
                GOOD | {"subject": "{{ missing }}", "variables": {}},
            ]
        },
    )
    assert (answer.status, answer.error["code"]) == (400, "VALIDATION_ERROR")
    for path in (
        "$.emails[1].to", "$.emails[2]", "$.emails[3].subject", "$.emails[3].color", "$.emails[4].subject"
    ):  # fmt: skip
        assert path in answer.paths
    assert await behind.emails_in_log() == 0


async def test_what_is_wrong_with_a_shared_field_is_told_once_and_where_it_stands(door: Door) -> None:
    answer = await batch(door, recipients(100, reply_to="nobody", tags=[""], scheduled_at="yesterday"))
    assert answer.status == 400
    assert answer.paths == ["$.reply_to", "$.scheduled_at", "$.tags[0]"]
    syntax = await batch(door, recipients(100, text="{{ name"))
    assert (syntax.status, syntax.error["code"], syntax.paths) == (422, "TEMPLATE_ERROR", ["$.text"])
    account = await batch(door, recipients(3, smtp_account_id="0190a0a0-0000-7000-8000-00000000000a"))
    assert (account.status, account.error["code"]) == (422, "SMTP_ACCOUNT_REQUIRED")
    assert account.paths == ["$.smtp_account_id"]


async def test_a_missing_variable_is_told_at_its_recipient(door: Door) -> None:
    body = recipients(5)
    del body["recipients"][3]["variables"]["name"]
    body["recipients"][4]["variables"]["number"] = "1\r\nBcc: everybody@world.test"
    answer = await batch(door, body)
    assert answer.status == 400
    assert answer.paths == ["$.recipients[4].variables", "$.recipients[3].variables"]
    del body["recipients"][4]
    answer = await batch(door, body)
    assert (answer.status, answer.error["code"]) == (422, "TEMPLATE_ERROR")
    assert "name" in answer.error["details"][0]["message"]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, ["$"]),
        ([], ["$"]),
        ({"emails": []}, ["$.emails"]),
        ({"recipients": [], **SHARED}, ["$.recipients"]),
        ({"emails": {"to": "a@b.test"}}, ["$.emails"]),
        ({"emails": [GOOD], "recipients": [{"to": "a@world.test"}]}, ["$"]),
        ({"emails": [GOOD] * 1001}, ["$.emails"]),
        ({"emails": [GOOD], "mode": "some"}, ["$.mode"]),
        ({"emails": [GOOD], "subject": "shared"}, ["$.subject"]),
        ({"recipients": [{"to": "a@world.test"}], "to": "b@world.test", **SHARED}, ["$.to"]),
        ({"recipients": [{"to": "a@world.test"}], "color": "red", **SHARED}, ["$.color"]),
    ],
)
async def test_what_is_no_batch_is_refused(door: Door, body: Any, paths: list[str]) -> None:
    for mode in ("atomic", "partial"):
        given = {"mode": mode} | body if isinstance(body, dict) else body
        answer = await batch(door, given)
        assert (answer.status, answer.error["code"], answer.paths) == (400, "VALIDATION_ERROR", paths)


async def test_a_partial_batch_takes_the_good_and_names_the_bad_in_place(door: Door, behind: Behind) -> None:
    items = [
        GOOD | {"to": "nobody"},
        GOOD,
        GOOD | {"subject": "{{ missing }}", "variables": {}},
        GOOD | {"from": "somebody@else.test"},
        GOOD | {"to": "bob@world.test"},
    ]
    answer = await accepted(door, {"emails": items, "mode": "partial"}, "k")
    assert [item["status"] for item in answer.data] == [
        "rejected",
        "queued",
        "rejected",
        "rejected",
        "queued",
    ]
    assert [item["error"]["code"] for item in answer.data if "error" in item] == [
        "VALIDATION_ERROR", "TEMPLATE_ERROR", "SMTP_ACCOUNT_REQUIRED"
    ]  # fmt: skip
    assert list(answer.data[0]) == ["index", "status", "error"]
    assert answer.data[3]["index"] == 3
    assert answer.data[3]["error"]["details"][0]["path"] == "$.emails[3].from"
    meta = answer.body["meta"]
    assert (meta["total"], meta["accepted"], meta["rejected"]) == (5, 2, 3)
    assert await behind.emails_in_log() == 2
    again = await accepted(door, {"emails": items, "mode": "partial"}, "k")
    assert is_replay(again)
    assert again.body == answer.body
    for item in (answer.data[1], answer.data[4]):
        await behind.project(item["id"])
        await behind.trim(item["id"])
    assert (await accepted(door, {"emails": items, "mode": "partial"}, "k")).body == answer.body
    assert (await batch(door, {"emails": items}, "k")).status == 409


async def test_a_partial_batch_without_a_good_item_stores_nothing(door: Door, behind: Behind) -> None:
    answer = await accepted(door, {"emails": [GOOD | {"to": "x"}, 7], "mode": "partial"}, "k")
    assert [item["status"] for item in answer.data] == ["rejected", "rejected"]
    assert answer.body["meta"] == {"total": 2, "accepted": 0, "rejected": 2, "batch_id": None}
    assert await behind.emails_in_log() == 0


async def test_equal_large_bodies_are_stored_once(door: Door, behind: Behind, house: House) -> None:
    noise = random.Random(1).randbytes(100_000).hex()
    answer = await accepted(
        door, {"subject": "Hi", "text": noise, "recipients": recipients(50)["recipients"]}
    )
    keys = {(await behind.history(item["id"]))[0].event.email.body.key for item in answer.data}
    assert len(keys) == 1
    assert None not in keys
    assert (await door.show(answer.data[49]["id"], "content")).data["text"] == noise


async def test_a_body_whose_copies_would_fill_the_log_is_stored_once(door: Door, behind: Behind) -> None:
    noise = random.Random(2).randbytes(20_000).hex()
    body = {"subject": "Hi", "html": noise, "recipients": recipients(100)["recipients"]}
    many = (await accepted(door, body)).data
    few = (await accepted(door, body | {"recipients": body["recipients"][:3]})).data
    assert len({(await behind.history(item["id"]))[0].event.email.body.key for item in many}) == 1
    assert (await behind.history(many[0]["id"]))[0].event.email.body.key is not None
    assert (await behind.history(few[0]["id"]))[0].event.email.body.key is None


async def test_attachments_are_shared_or_an_items_own(door: Door, behind: Behind) -> None:
    def file(name: str, content: str) -> dict[str, str]:
        return {"filename": name, "content": content}

    body = recipients(4, attachments=[file("all.txt", "YWxs")])
    body["recipients"][1]["attachments"] = [file("own.txt", "b3du")]
    body["recipients"][2]["attachments"] = []
    answer = await accepted(door, body)
    files = [(await behind.history(item["id"]))[0].event.email.attachments for item in answer.data]
    assert [[file.filename for file in several] for several in files] == [
        ["all.txt"], ["own.txt"], [], ["all.txt"]
    ]  # fmt: skip
    assert files[0] == files[3]
    raw = (await door.raw(answer.data[3]["id"]))[1]
    assert b"all.txt" in raw
    broken = await batch(door, recipients(4, attachments=[file("a.txt", "???")]))
    assert (broken.status, broken.paths) == (400, ["$.attachments[0].content"])


async def test_shared_attachments_that_no_accepted_item_has_are_not_kept(door: Door, house: House) -> None:
    body = recipients(2, attachments=[{"filename": "all.txt", "content": "b25seSBmb3IgdGhlIHJlZnVzZWQ"}])
    body["recipients"][0]["to"] = "nobody"
    body["recipients"][1]["attachments"] = []
    answer = await accepted(door, body | {"mode": "partial"})
    assert [item["status"] for item in answer.data] == ["rejected", "queued"]
    files = forms.kept(house.home / "content")
    assert b"only for the refused" not in [file.read_bytes() for file in files]


async def test_a_batch_that_would_be_too_much_is_413_and_nothing_is_stored(
    door: Door, behind: Behind
) -> None:
    noise = random.Random(3).randbytes(30_000).hex()
    answer = await batch(door, recipients(1000, text="{{ name }}" + noise))
    assert (answer.status, answer.error["code"]) == (413, "PAYLOAD_TOO_LARGE")
    answer = await batch(door, recipients(1000, html="<p>{{ name }}</p>" + "x " * 200_000))
    assert (answer.status, answer.error["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert await behind.emails_in_log() == 0


async def test_a_batch_counts_as_one_request(door: Door) -> None:
    first = await accepted(door, recipients(200))
    second = await accepted(door, recipients(200))
    left = [int(answer.headers["RateLimit-Remaining"]) for answer in (first, second)]
    assert left[0] - left[1] <= 1


async def test_history_lists_a_batch_by_its_id(door: Door, behind: Behind) -> None:
    answer = await accepted(door, recipients(30))
    await accepted(door, recipients(5))
    for item in answer.data:
        await behind.project(item["id"])
    listed = await door.list_(f"batch_id={answer.body['meta']['batch_id']}&per_page=100")
    assert listed.body["meta"]["total"] == 30
    assert {item["id"] for item in listed.data} == {item["id"] for item in answer.data}
