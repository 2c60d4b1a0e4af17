import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from shared.events import delivery
from shared.events.base import AccountId
from tests.integration.gateway.emails.door import Behind, Door


def _at(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _claim(round_: int = 1) -> delivery.Sending:
    return delivery.Sending(
        occurred_at=_at(round_),
        round=round_,
        attempt=round_,
        claim_id=f"c{round_}",
        account_id=AccountId("a"),
    )


def _sent(round_: int = 1) -> delivery.Sent:
    return delivery.Sent(
        occurred_at=_at(round_ + 0.5),
        round=round_,
        attempt=round_,
        claim_id=f"c{round_}",
        recipients=(delivery.RecipientResult(address="ann@world.test", status="sent", smtp_code=250),),
        conversation=delivery.Conversation(
            server="mx.world.test", lines=(delivery.Line(at_ms=1, verb="MAIL", reply="250 ok"),)
        ),
    )


async def test_an_email_is_readable_the_moment_its_202_was_sent(door: Door) -> None:
    async def one(number: int) -> None:
        sent = await door.sent(subject=f"Number {number}")
        shown = await door.show(sent["id"])
        assert shown.status == 200
        assert shown.data["subject"] == f"Number {number}"
        assert (shown.data["status"], shown.data["message_id"]) == ("queued", sent["message_id"])

    for start in range(0, 200, 20):
        await asyncio.gather(*(one(number) for number in range(start, start + 20)))


async def test_every_part_of_the_projection_and_of_the_log_tells_the_same(door: Door, behind: Behind) -> None:
    email_id = (await door.sent())["id"]
    unprojected = None
    include = "content,attempts,events"
    for step in (_claim(), _sent()):
        await behind.append(email_id, step)
        unprojected = (await door.show(email_id, include)).data
        await behind.project(email_id)
        assert (await door.show(email_id, include)).data == unprojected
    assert unprojected
    assert unprojected["status"] == "sent"
    await behind.trim(email_id)
    assert (await door.show(email_id, include)).data == unprojected


async def test_everything_asked_for_is_included_and_nothing_else(door: Door, behind: Behind) -> None:
    email_id = (await door.sent(html="<p>Hi</p>"))["id"]
    await behind.append(email_id, _claim())
    await behind.append(email_id, _sent())
    plain = (await door.show(email_id)).data
    assert not {"html", "text", "attempts", "events"} & set(plain)
    full = (await door.show(email_id, "content,attempts,events")).data
    assert (full["html"], full["text"]) == ("<p>Hi</p>", "Hello.")
    assert [event["type"] for event in full["events"]] == ["email.requested", "email.sending", "email.sent"]
    (attempt,) = full["attempts"]
    assert attempt["outcome"] == "sent"
    assert attempt["conversation"]["lines"][0]["reply"] == "250 ok"
    assert plain == {key: value for key, value in full.items() if key in plain}


@pytest.mark.parametrize("include", ["everything", "content,", "content,nonsense", "CONTENT"])
async def test_an_unknown_part_is_400(door: Door, include: str) -> None:
    answer = await door.show((await door.sent())["id"], include)
    assert (answer.status, answer.paths) == (400, ["$.include"])


async def test_a_late_and_doubled_record_changes_nothing(door: Door, behind: Behind) -> None:
    email_id = (await door.sent())["id"]
    await behind.append(email_id, _sent())
    await behind.project(email_id)
    await behind.append(email_id, _claim())
    assert (await door.show(email_id)).data["status"] == "sent"


async def test_what_is_no_id_is_400_and_an_unknown_one_404(door: Door) -> None:
    assert (await door.show("not-an-id")).status == 400
    answer = await door.show(str(uuid.uuid4()))
    assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")


async def test_a_row_that_cannot_be_read_counts_as_absent(door: Door, behind: Behind) -> None:
    email_id = (await door.sent("k"))["id"]
    await behind.project(email_id)
    await behind.pool.execute("UPDATE projector.emails SET state = '\\xc1' WHERE email_id = $1", email_id)
    assert (await door.show(email_id, "content,events")).data["status"] == "queued"
    assert (await door.sent("k"))["id"] == email_id
    assert (await door.list_()).data == []
    await behind.trim(email_id)
    assert (await door.show(email_id)).status == 404


async def test_an_archived_event_that_cannot_be_read_is_left_out(door: Door, behind: Behind) -> None:
    email_id = (await door.sent())["id"]
    await behind.append(email_id, _claim())
    await behind.project(email_id)
    await behind.trim(email_id)
    await behind.pool.execute(
        """UPDATE projector.events SET payload = '{"attempt": "none"}' WHERE email_id = $1
        AND type LIKE '%sending%'""",
        email_id,
    )
    shown = await door.show(email_id, "events")
    assert [event["type"] for event in shown.data["events"]] == ["email.requested"]


async def test_expired_content_is_null_and_the_story_stays(door: Door, behind: Behind) -> None:
    email_id = (await door.sent())["id"]
    await behind.project(email_id)
    await behind.trim(email_id)
    await behind.pool.execute("DELETE FROM projector.contents WHERE email_id = $1", email_id)
    shown = (await door.show(email_id, "content,events")).data
    assert (shown["html"], shown["text"]) == (None, None)
    assert len(shown["events"]) == 1
