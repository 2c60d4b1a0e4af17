"""What came back changes what is told of an email at once, and what it is listed by when it is projected."""

from datetime import timedelta
from typing import Any

import pytest

from shared.events import delivery, signal
from tests.controls.emails import ACCOUNT, NOON
from tests.integration.gateway.emails.door import Behind, Door

GONE = delivery.Reason(
    code="550",
    enhanced_code="5.1.1",
    category="bad_mailbox",
    message="550 5.1.1 no such user",
    retryable=False,
    suggested_action="remove the address",
)


def at(minute: int) -> dict[str, Any]:
    return {"occurred_at": NOON + timedelta(minutes=minute), "recipient": "ann@world.test"}


# Weakest evidence first: each of these outranks the ones before.
SIGNALS = (
    ("delivered", "delivered_at", signal.Delivered(**at(1))),
    ("opened", "first_opened_at", signal.Opened(**at(2))),
    ("read", "read_at", signal.Read(**at(3))),
    ("replied", "first_replied_at", signal.Replied(**at(4), snippet="Yes.")),
    ("bounced", "bounced_at", signal.Bounced(**at(5), kind="hard", reason=GONE)),
)


async def _sent(door: Door, behind: Behind) -> str:
    email_id: str = (await door.sent())["id"]
    for event in (
        delivery.Sending(occurred_at=NOON, round=1, attempt=1, claim_id="c", account_id=ACCOUNT),
        delivery.Sent(occurred_at=NOON, round=1, attempt=1, claim_id="c"),
    ):
        await behind.append(email_id, event)
    return email_id


@pytest.mark.parametrize("backwards", [False, True])
async def test_every_signal_moves_the_status_and_sets_its_time(
    door: Door, behind: Behind, backwards: bool
) -> None:
    email_id = await _sent(door, behind)
    shown = (await door.show(email_id)).data
    assert shown["unified_status"] == "sent"
    strongest = ""
    for status, name, event in reversed(SIGNALS) if backwards else SIGNALS:
        await behind.append(email_id, event)
        strongest = strongest if backwards and strongest else status
        shown = (await door.show(email_id)).data
        assert (shown["unified_status"], shown["status"]) == (strongest, "sent")
        assert shown[name] == event.occurred_at.isoformat().replace("+00:00", "Z")
    assert shown["status_reason"]["suggested_action"] == "remove the address"


async def test_people_and_machines_are_counted_apart_and_machines_move_nothing(
    door: Door, behind: Behind
) -> None:
    email_id = await _sent(door, behind)
    machine = {**at(1), "machine": True, "reason": "proxy"}
    await behind.append(email_id, signal.Opened(**machine))
    await behind.append(email_id, signal.Clicked(**machine, url="https://a.test/"))
    shown = (await door.show(email_id)).data
    assert (shown["unified_status"], shown["first_opened_at"], shown["first_clicked_at"]) == (
        "sent",
        None,
        None,
    )
    assert (shown["machine_open_count"], shown["open_count"], shown["click_count"]) == (1, 0, 0)
    await behind.append(email_id, signal.Clicked(**at(9), url="https://a.test/"))
    for _ in range(2):
        await behind.append(email_id, signal.Opened(**at(8)))
    shown = (await door.show(email_id)).data
    assert (shown["machine_open_count"], shown["open_count"], shown["click_count"]) == (1, 2, 1)
    assert shown["unified_status"] == "opened"
    assert (shown["first_opened_at"], shown["first_clicked_at"]) == (
        "2026-11-24T12:08:00Z",
        "2026-11-24T12:09:00Z",
    )


async def test_emails_are_listed_by_what_came_back(door: Door, behind: Behind) -> None:
    ids = {}
    for status, _, event in SIGNALS:
        ids[status] = await _sent(door, behind)
        await behind.append(ids[status], event)
    ids["sent"] = await _sent(door, behind)
    await behind.append(ids["sent"], signal.AutoReplied(**at(1)))
    await behind.append(ids["sent"], signal.Delayed(**at(1), reason=GONE))
    await behind.project(*ids.values())
    for status, email_id in ids.items():
        found = (await door.list_(f"unified_status={status}")).data
        assert [row["id"] for row in found] == [email_id], status
        assert found[0]["unified_status"] == status
        assert found[0]["status"] == "sent"
    both = (await door.list_("unified_status=opened,bounced")).data
    assert {row["id"] for row in both} == {ids["opened"], ids["bounced"]}


async def test_the_timeline_tells_what_came_back(door: Door, behind: Behind) -> None:
    email_id = await _sent(door, behind)
    for _, _, event in SIGNALS:
        await behind.append(email_id, event)
    await behind.project(email_id)
    await behind.trim(email_id)
    events = (await door.show(email_id, "events")).data["events"]
    names = [
        one["type"] for one in events if one["type"] not in ("email.requested", "email.sending", "email.sent")
    ]
    assert names == ["email.delivered", "email.opened", "email.read", "email.replied", "email.bounced"]
    bounced = next(one["data"] for one in events if one["type"] == "email.bounced")
    assert (bounced["kind"], bounced["recipient"]) == ("hard", "ann@world.test")
    assert bounced["reason"]["message"] == "550 5.1.1 no such user"
    told = (await door.ask("GET", f"/tracking/{email_id}")).data
    assert [one["type"] for one in told] == ["delivered", "open", "read", "replied", "bounced"]
    assert {one["recipient"] for one in told} == {"ann@world.test"}


async def test_no_workspace_is_told_what_came_back_to_another(door: Door, behind: Behind, house: Any) -> None:
    email_id = await _sent(door, behind)
    token, _ = await behind.workspace(f"{behind.name}-other")
    other = Door(house.url, token, door.session)
    assert (await other.ask("GET", f"/tracking/{email_id}")).status == 404
