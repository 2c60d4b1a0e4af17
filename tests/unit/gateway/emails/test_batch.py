"""The pure parts of a batch: its forms, where a problem is told, what is remembered of a refusal."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from services.gateway import errors
from services.gateway.emails import batch_fields, batch_submitting, batch_verdicts
from services.gateway.emails.batch_verdicts import Refusals
from services.gateway.errors import Problem
from shared.events import email
from shared.events.base import WorkspaceId

WORKSPACE = WorkspaceId("default")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def items(body: dict[str, Any]) -> list[batch_fields.Item]:
    form, problems = batch_fields.read(body)
    assert not problems
    return form.items


def one(**own: Any) -> batch_fields.Item:
    shared = {"subject": "Hi {{ name }}", "text": "Hello.", "variables": {"a": "1"}, "from": "x@y.test"}
    return items({**shared, "recipients": [{"to": "a@world.test", **own}]})[0]


def test_an_items_fields_lie_over_the_shared_ones_and_null_is_no_field() -> None:
    item = one(text="Own.", subject=None, variables={"b": "2"})
    assert item.value == {
        "to": "a@world.test",
        "subject": "Hi {{ name }}",
        "text": "Own.",
        "variables": {"a": "1", "b": "2"},
        "from": "x@y.test",
    }


def test_recipients_are_rendered_also_without_variables_and_emails_are_not() -> None:
    [item] = items({"subject": "{{ x }}", "recipients": [{"to": "a@world.test"}]})
    assert item.value["variables"] == {}
    [item] = items({"emails": [{"to": "a@world.test"}]})
    assert "variables" not in item.value


def test_shared_attachments_are_no_part_of_the_items() -> None:
    form, _ = batch_fields.read(
        {"attachments": [1], "recipients": [{"to": "a"}, {"to": "b", "attachments": []}]}
    )
    assert form.attachments == [1]
    assert [item.value.get("attachments") for item in form.items] == [None, []]
    assert [item.shares_files for item in form.items] == [True, False]


@pytest.mark.parametrize(
    ("own", "path", "told"),
    [
        ({}, ".text", "$.text"),
        ({"text": "Own."}, ".text", "$.recipients[0].text"),
        ({}, ".to", "$.recipients[0].to"),
        ({}, '.headers["X-A"]', '$.headers["X-A"]'),
        ({}, ".subject", "$.recipients[0].variables"),
        ({}, ".variables", "$.recipients[0].variables"),
        ({"color": "red"}, ".color", "$.recipients[0].color"),
        ({}, "", "$.recipients[0]"),
    ],
)
def test_a_problem_is_told_where_the_client_wrote_its_cause(
    own: dict[str, Any], path: str, told: str
) -> None:
    assert one(**own).place(Problem(f"$.recipients[0]{path}", "wrong")).path == told


def test_a_templates_fault_is_told_at_the_template_and_a_missing_value_at_the_item() -> None:
    fault = Problem("$.recipients[0].subject", "line 1: unexpected '}'")
    missing = Problem("$.recipients[0].subject", "line 1: 'name' is missing from variables")
    assert one().place_in_template(fault).path == "$.subject"
    assert one().place_in_template(missing).path == "$.recipients[0].variables"


@pytest.mark.parametrize(
    ("refusals", "code"),
    [
        (Refusals(invalid=(Problem("$.a", "x"),)), errors.VALIDATION_ERROR),
        (Refusals(template=(Problem("$.a", "x"),)), errors.TEMPLATE_ERROR),
        (Refusals(account=(Problem("$.a", "x"),)), errors.SMTP_ACCOUNT_REQUIRED),
        (Refusals(template=(Problem("$.a", "x"),), account=(Problem("$.b", "x"),)), errors.VALIDATION_ERROR),
    ],
)
def test_a_kind_of_problem_has_its_own_code_only_when_it_is_the_only_one(
    refusals: Refusals, code: str
) -> None:
    refusal = batch_verdicts.refusal([Refusals(), refusals])
    assert refusal is not None
    assert refusal.code == refusals.code == code


def test_a_batch_without_problems_is_not_refused() -> None:
    assert batch_verdicts.refusal([]) is None
    assert batch_verdicts.refusal([Refusals(), Refusals()]) is None


def test_what_is_told_of_refusals_is_bounded_and_says_so() -> None:
    many = [
        Refusals(invalid=tuple(Problem(f"$.emails[{n}].x{m}", "y") for m in range(30))) for n in range(100)
    ]
    refusal = batch_verdicts.refusal(many)
    assert refusal is not None
    assert len(refusal.details) == batch_verdicts.MOST_PROBLEMS + 1
    assert refusal.details[-1].message == "and 2000 problems more"
    kept = batch_verdicts.rejections(dict(enumerate(many)))
    assert [len(rejection.details) for rejection in kept] == [20] * 50 + [0] * 50
    [long] = batch_verdicts.rejections({0: Refusals(invalid=(Problem("$." + "k" * 9999, "m" * 9999),))})
    assert max(map(len, long.details[0])) <= 301


def test_the_first_accepted_item_has_the_id_that_a_single_send_under_the_key_would_have() -> None:
    ids = batch_verdicts.ids(WORKSPACE, "k", [2, 3, 5])
    assert ids[2] == batch_verdicts.ids(WORKSPACE, "k", [0])[0]
    assert ids == batch_verdicts.ids(WORKSPACE, "k", [2, 3, 5])
    assert len({*ids.values(), batch_verdicts.batch_id(WORKSPACE, "k")}) == 4
    assert batch_verdicts.ids(WORKSPACE, None, [0]) != batch_verdicts.ids(WORKSPACE, None, [0])


def test_the_answer_keeps_the_order_and_follows_from_request_and_rejections() -> None:
    asked = items(
        {
            "emails": [
                {"to": "Ann <ann@world.test>"},
                {"to": "bad"},
                {"to": ["b@world.test", "B@world.test"], "scheduled_at": "2026-11-24T12:00:01Z"},
                {"to": ["c@world.test"], "scheduled_at": "2026-11-24T11:59:30Z"},
            ]
        }
    )
    rejected = (email.Rejection(1, "VALIDATION_ERROR", "no", (("$.emails[1].to", "bad"),)),)
    ids = batch_verdicts.ids(WORKSPACE, "k", [0, 2, 3])
    to = {number: batch_verdicts.addressed(asked[number].value["to"]) for number in ids}
    reply = batch_verdicts.answer(asked, ids, to, rejected, NOW, "b")
    assert [result.status for result in reply.data] == ["queued", "rejected", "scheduled", "queued"]
    assert [result.to for result in reply.data if result.status != "rejected"] == [
        "Ann <ann@world.test>", ["b@world.test"], ["c@world.test"]
    ]  # fmt: skip
    assert reply.data[1].error.details == (Problem("$.emails[1].to", "bad"),)
    assert reply.meta == batch_verdicts.Meta(4, 3, 1, "b")


async def test_a_repeat_of_a_thousand_items_with_slow_addresses_leaves_others_their_turn() -> None:
    to = [f"ünwahr{number}@wörld.test" for number in range(20)]
    form, _ = batch_fields.read({"emails": [{"to": to}] * 1000})
    turns, ended = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not ended.is_set():
            await asyncio.sleep(0)
            turns += 1

    waiting = asyncio.create_task(others())
    found = await batch_submitting._addressed_again(form, {0})
    ended.set()
    await waiting
    assert (len(found), len(found[999])) == (999, 20)
    assert turns > 20


def test_the_answer_reads_no_address_again() -> None:
    asked = items({"emails": [{"to": "not an address"}]})
    ids = batch_verdicts.ids(WORKSPACE, None, [0])
    reply = batch_verdicts.answer(asked, ids, {0: "ann@world.test"}, (), NOW, "b")
    assert reply.data[0].to == "ann@world.test"
