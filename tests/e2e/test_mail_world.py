"""What comes back by itself, through a real Postfix and Dovecot: each recipient ends as it should, by evidence alone."""

import asyncio
import smtplib
from typing import Any, Final

import pytest

from deploy.local.ports import LOOPBACK
from tests.controls.eventually import eventually
from tests.controls.posting import Post, ends, told

# RFC 3464 calls these three an arrival, each in its own way.
RELAYED, DELIVERED, EXPANDED = "relayed", "delivered", "expanded"

pytestmark = pytest.mark.timeout(300)

ARRIVES: Final = {
    "alice": RELAYED,
    "bob+tag": RELAYED,
    "carol": RELAYED,
    "slow": RELAYED,
    "dave@box.test": DELIVERED,
    "forward": EXPANDED,
    "team": EXPANDED,
}
REFUSED: Final = {
    "nobody": (550, "5.1.1", True),
    "moved": (551, "5.1.6", True),
    "x@elsewhere.test": (550, "5.4.4", False),
    "blocked": (554, "5.7.1", False),
    "toobig": (552, "5.3.4", False),
}


@pytest.fixture(scope="module")
def sent(post: Post) -> dict[str, str]:
    """One email to each recipient of the mail world's table, all at once."""
    people = [*ARRIVES, *REFUSED, "ghost", "full", "grey", "defer", "vacation", "late@late.test"]
    long = {"text": "Grüße\n" * 600}  # what does not fit into 2 KB
    return {
        name: post.send(name if "@" in name else f"{name}@world.test", **(long if name == "full" else {}))
        for name in people
    }


@pytest.mark.parametrize(("name", "action"), ARRIVES.items(), ids=ARRIVES)
async def test_what_arrives_is_delivered(post: Post, sent: dict[str, str], name: str, action: str) -> None:
    email = await ends(post, sent[name], "delivered")
    assert email["status"] == "sent"
    assert email["delivered_at"] >= email["sent_at"]
    (event,) = told(email, "delivered")
    assert event["data"].get("action", DELIVERED) == action
    assert event["data"]["recipient"] == email["to"]


@pytest.mark.parametrize(("name", "why"), REFUSED.items(), ids=REFUSED)
async def test_what_is_refused_at_the_door_failed(
    post: Post, sent: dict[str, str], name: str, why: tuple[int, str, bool]
) -> None:
    email = await ends(post, sent[name], "failed")
    assert (email["status_reason"]["code"], email["status_reason"]["enhanced_code"]) == (str(why[0]), why[1])
    assert email["bounced_at"] is None
    assert (email["to"] in await asyncio.to_thread(post.suppressed)) == why[2]


async def test_an_address_that_turns_out_not_to_exist_bounced_hard_and_gets_no_more(
    post: Post, sent: dict[str, str]
) -> None:
    email = await ends(post, sent["ghost"], "bounced")
    assert email["status"] == "sent"
    assert email["status_reason"]["enhanced_code"] == "5.1.1"
    assert told(email, "bounced")[0]["data"]["kind"] == "hard"
    assert (await asyncio.to_thread(post.suppressed))["ghost@world.test"] == "bounce"
    again = await asyncio.to_thread(post.send, "ghost@world.test")
    await ends(post, again, "suppressed")


async def test_a_full_mailbox_bounced_soft_and_may_get_mail_again(post: Post, sent: dict[str, str]) -> None:
    email = await ends(post, sent["full"], "bounced")
    assert told(email, "bounced")[0]["data"]["kind"] == "soft"
    reason = email["status_reason"]
    assert (reason["enhanced_code"], reason["category"]) == ("5.2.2", "mailbox_full")
    assert "full@world.test" not in await asyncio.to_thread(post.suppressed)


async def test_a_greylisted_email_is_sent_at_its_second_attempt(post: Post, sent: dict[str, str]) -> None:
    email = await ends(post, sent["grey"], "delivered", within=120)
    assert email["attempt_count"] == 2


async def test_what_is_always_put_off_waits_and_says_why(post: Post, sent: dict[str, str]) -> None:
    email = await ends(post, sent["defer"], "queued")
    assert email["status"] == "deferred"
    assert email["status_reason"]["enhanced_code"] == "4.3.2"
    assert email["next_attempt_at"] is not None


async def test_a_vacation_responder_lets_our_mail_pass_and_its_answer_is_no_reply(
    post: Post, sent: dict[str, str]
) -> None:
    await ends(post, sent["vacation"], "delivered")
    (raw,) = post.mail.received("vacation@world.test")
    # Our mail says that no person wrote it, and real responders keep quiet; here a server lost that line.
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in raw
    returns = raw[raw.index(b"<") + 1 : raw.index(b">")].decode()
    lost = raw[raw.index(b"\r\nDate:") + 2 :].replace(b"Auto-Submitted: auto-generated\r\n", b"")

    def send() -> None:
        with smtplib.SMTP(LOOPBACK, post.mail.mx) as session:
            session.sendmail(returns, ["vacation@world.test"], lost)

    async def answered() -> dict[str, Any]:
        found = await asyncio.to_thread(post.email, sent["vacation"])
        assert told(found, "auto_replied")
        return found

    assert not told(await asyncio.to_thread(post.email, sent["vacation"]), "auto_replied")
    await asyncio.to_thread(send)
    email = await eventually(answered, within=30, every=0.5)
    (answer,) = told(email, "auto_replied")
    assert answer["data"]["from_address"] == "vacation@world.test"
    assert (email["unified_status"], email["first_replied_at"]) == ("delivered", None)


async def test_what_a_server_keeps_trying_is_delayed_before_it_bounced_soft(
    post: Post, sent: dict[str, str]
) -> None:
    email = await ends(post, sent["late@late.test"], "bounced", within=90)
    assert [one["data"]["reason"]["enhanced_code"] for one in told(email, "delayed")] == ["4.4.1"]
    (bounced,) = told(email, "bounced")
    assert (bounced["data"]["kind"], bounced["data"]["reason"]["enhanced_code"]) == ("soft", "4.4.1")
    assert "late@late.test" not in await asyncio.to_thread(post.suppressed)
