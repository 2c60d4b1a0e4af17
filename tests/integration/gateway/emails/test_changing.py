import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events import delivery, submission
from shared.events.base import AccountId
from shared.runtime import publisher
from tests.integration.gateway.emails.door import Behind, Door

LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
EVEN_LATER = (datetime.now(UTC) + timedelta(hours=2)).isoformat()


def _claim() -> delivery.Sending:
    return delivery.Sending(
        occurred_at=datetime.now(UTC), round=1, attempt=1, claim_id="c", account_id=AccountId("a")
    )


def _sent() -> delivery.Sent:
    return delivery.Sent(occurred_at=datetime.now(UTC), round=1, attempt=1, claim_id="c")


async def _cancel(door: Door, email_id: str) -> Any:
    return await door.ask("DELETE", f"/emails/{email_id}")


async def _move(door: Door, email_id: str, to: str) -> Any:
    return await door.ask("PATCH", f"/emails/{email_id}", {"scheduled_at": to})


@pytest.mark.parametrize("fields", [{}, {"scheduled_at": LATER}])
async def test_what_waits_is_cancelled_and_shows_it_at_once(door: Door, fields: dict[str, str]) -> None:
    sent = await door.sent(**fields)
    answer = await _cancel(door, sent["id"])
    assert (answer.status, answer.data) == (200, {"id": sent["id"], "status": "cancelled"})
    shown = (await door.show(sent["id"])).data
    assert (shown["status"], shown["unified_status"]) == ("cancelled", "cancelled")
    assert shown["cancelled_at"] is not None
    assert shown["status_reason"]["code"] == "cancelled"


async def test_cancelling_again_is_200_and_adds_nothing(door: Door, behind: Behind) -> None:
    sent = await door.sent()
    answers = await asyncio.gather(*(_cancel(door, sent["id"]) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len(await behind.history(sent["id"])) == 2


async def test_a_claim_that_came_first_is_not_cancelled(door: Door, behind: Behind) -> None:
    sent = await door.sent()
    await behind.append(sent["id"], _claim(), (await behind.history(sent["id"]))[-1].sequence)
    answer = await _cancel(door, sent["id"])
    assert (answer.status, answer.error["code"]) == (409, "CONFLICT")
    assert answer.error["details"] == [{"path": "$.status", "message": "sending"}]
    await behind.append(sent["id"], _sent())
    answer = await _cancel(door, sent["id"])
    assert answer.error["details"] == [{"path": "$.status", "message": "sent"}]


async def test_a_cancellation_that_came_first_is_never_claimed(door: Door, behind: Behind) -> None:
    sent = await door.sent()
    guard = (await behind.history(sent["id"]))[-1].sequence
    assert (await _cancel(door, sent["id"])).status == 200
    with pytest.raises(publisher.Conflict):
        await behind.append(sent["id"], _claim(), guard)


async def test_cancel_and_claim_at_the_same_moment_have_one_winner(door: Door, behind: Behind) -> None:
    sent = [(await door.sent())["id"] for _ in range(60)]
    guards = {one: (await behind.history(one))[-1].sequence for one in sent}

    async def claim(email_id: str) -> bool:
        try:
            await behind.append(email_id, _claim(), guards[email_id])
        except publisher.Conflict:
            return False
        return True

    async def both(email_id: str) -> tuple[bool, bool]:
        won, answer = await asyncio.gather(claim(email_id), _cancel(door, email_id))
        assert answer.status in (200, 409)
        return won, answer.status == 200

    outcomes = await asyncio.gather(*(both(one) for one in sent))
    assert all(claimed != cancelled for claimed, cancelled in outcomes)


async def test_a_record_in_between_does_not_hinder_a_cancellation(door: Door, behind: Behind) -> None:
    sent = await door.sent(scheduled_at=LATER)
    moves = [_move(door, sent["id"], EVEN_LATER if n % 2 else LATER) for n in range(6)]
    answers = await asyncio.gather(_cancel(door, sent["id"]), *moves)
    assert answers[0].status == 200
    assert {answer.status for answer in answers[1:]} <= {200, 409}
    kinds = [type(record.event) for record in await behind.history(sent["id"])]
    assert kinds[-1] is submission.Cancelled


async def test_a_trimmed_email_is_cancelled_out_of_its_row(door: Door, behind: Behind) -> None:
    sent = await door.sent(scheduled_at=LATER)
    await behind.project(sent["id"])
    await behind.trim(sent["id"])
    assert (await _cancel(door, sent["id"])).status == 200
    assert (await door.show(sent["id"])).data["status"] == "cancelled"
    assert (await _cancel(door, sent["id"])).status == 200


async def test_a_scheduled_email_is_moved_and_shows_it_at_once(door: Door, behind: Behind) -> None:
    sent = await door.sent(scheduled_at=LATER)
    answer = await _move(door, sent["id"], EVEN_LATER)
    assert answer.status == 200
    assert answer.data["scheduled_at"] == EVEN_LATER.replace("+00:00", "Z")
    assert answer.data == (await door.show(sent["id"])).data
    await _move(door, sent["id"], LATER)
    revisions = [
        r.event.revision
        for r in await behind.history(sent["id"])
        if isinstance(r.event, submission.Rescheduled)
    ]
    assert revisions == [1, 2]
    assert (await door.show(sent["id"])).data["scheduled_at"] == LATER.replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"scheduled_at": "tomorrow"}, "$.scheduled_at"),
        ({"scheduled_at": "2030-01-01T00:00:00"}, "$.scheduled_at"),
        ({"scheduled_at": "2020-01-01T00:00:00Z"}, "$.scheduled_at"),
        ({"scheduled_at": "2099-01-01T00:00:00Z"}, "$.scheduled_at"),
        ({}, "$.scheduled_at"),
        ({"scheduled_at": LATER, "subject": "x"}, "$.subject"),
    ],
)
async def test_a_bad_move_is_400(door: Door, body: dict[str, str], path: str) -> None:
    sent = await door.sent(scheduled_at=LATER)
    answer = await door.ask("PATCH", f"/emails/{sent['id']}", body)
    assert (answer.status, answer.paths) == (400, [path])


async def test_what_is_not_scheduled_any_more_does_not_move(door: Door) -> None:
    queued = await door.sent()
    answer = await _move(door, queued["id"], LATER)
    assert (answer.status, answer.error["details"]) == (409, [{"path": "$.status", "message": "queued"}])
    scheduled = await door.sent(scheduled_at=LATER)
    await _cancel(door, scheduled["id"])
    assert (await _move(door, scheduled["id"], EVEN_LATER)).status == 409


async def test_an_unknown_email_and_another_workspaces_are_404(door: Door, behind: Behind) -> None:
    sent = await door.sent(scheduled_at=LATER)
    token, _ = await behind.workspace(f"{behind.name}-other")
    other = Door(door.url, token, door.session)
    for who, email_id in ((door, str(uuid.uuid4())), (other, sent["id"])):
        assert (await _cancel(who, email_id)).status == 404
        assert (await _move(who, email_id, LATER)).status == 404
        assert (await who.show(email_id)).status == 404
    assert (await door.show(sent["id"])).data["status"] == "scheduled"
