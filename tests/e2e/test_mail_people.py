"""What recipients do with an email in a real mailbox, and what somebody else pretends that they did."""

import asyncio
import json
import os
import re
import smtplib
import subprocess
import sys
import time
import uuid
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from deploy.local.ports import LOOPBACK
from tests.controls.eventually import eventually
from tests.controls.posting import Post, ends, told
from tests.controls.servers import ROOT

OWN: Final = ROOT / "tests" / "corpus" / "own"

FATES: Final = {
    ("dsn", "names no email of ours"): 2,
    ("dsn", "fits no recipient"): 1,
    ("mdn", "names no email of ours"): 1,
}

pytestmark = pytest.mark.timeout(300)


class Recipient(NamedTuple):
    """Somebody who has an email, long enough after it was sent that a person may have opened it."""

    post: Post
    email_id: str
    subject: str

    async def does(self, *words: str) -> list[dict[str, Any]]:
        """Let them do something with it."""
        words = ("--subject", self.subject, "--wait", "20", *words)
        return await asyncio.to_thread(self.post.mail.recipient, "alice@world.test", *words)

    async def has(self, **fields: Any) -> dict[str, Any]:
        """Return the email once its fields are these."""

        async def found() -> dict[str, Any]:
            email = await asyncio.to_thread(self.post.email, self.email_id)
            assert {name: email[name] for name in fields} == fields
            return email

        return await eventually(found, within=30, every=0.5)


async def received(post: Post, to: str = "", *, at_leisure: bool = True, **fields: Any) -> Recipient:
    """Send an email, to an address of its own unless told otherwise, and return whoever got it."""
    name = uuid.uuid4().hex[:12]
    to = to or f"alice+{name}@world.test"
    email_id = await asyncio.to_thread(post.send, to, subject=f"Order {name}", **fields)
    email = await ends(post, email_id, "delivered")
    sent_at = datetime.fromisoformat(email["sent_at"]).timestamp()
    if at_leisure:
        await eventually(lambda: time.time() - sent_at > 2.5, within=5)
    return Recipient(post, email_id, name)


async def test_a_person_who_opens_and_clicks_is_seen_to(post: Post) -> None:
    person = await received(post)
    done = await person.does("--open", "--click", "0")
    assert [one["status"] for one in done if one["act"] == "GET"] == [200, 302]
    assert done[-1]["location"] == "https://shop.example/order?a=1&b=2"
    email = await person.has(unified_status="opened", open_count=1, click_count=1, machine_open_count=0)
    assert email["first_opened_at"]
    assert email["first_clicked_at"]


async def test_a_person_who_answers_has_replied(post: Post) -> None:
    person = await received(post)
    await person.does("--reply", "Thanks, that is all.")
    email = await person.has(unified_status="replied")
    (event,) = told(email, "replied")
    assert event["data"]["snippet"] == "Thanks, that is all."
    assert event["data"]["from_address"] == "alice@world.test"


async def test_an_automatic_answer_moves_no_status(post: Post) -> None:
    person = await received(post)
    await person.does("--auto-reply")

    async def answered() -> bool:
        return bool(told(await asyncio.to_thread(post.email, person.email_id), "auto_replied"))

    await eventually(answered, within=20, every=0.5)
    await person.has(unified_status="delivered", first_replied_at=None)


async def test_a_receipt_that_was_asked_for_says_read(post: Post) -> None:
    person = await received(post, "alice@world.test", tracking={"read": True})
    done = await person.does("--mdn", "displayed")
    assert not [one for one in done if "note" in one]  # no client had to ask its user first
    email = await person.has(unified_status="read")
    assert email["read_at"]


async def test_machines_that_fetch_images_are_counted_apart(post: Post) -> None:
    for word in ("--apple-mpp", "--gmail-proxy"):
        mailbox = await received(post)
        await mailbox.does(word)
        await mailbox.has(
            machine_open_count=1, open_count=0, unified_status="delivered", first_opened_at=None
        )


async def test_a_scanner_that_follows_every_link_is_no_click(post: Post) -> None:
    links = "".join(f"<a href='https://shop.example/{n}'>{n}</a>" for n in range(4))
    scanner = await received(post, html=f"<p>{links}</p>")
    done = await scanner.does("--scanner")
    assert {one["status"] for one in done if one["act"] in ("GET", "HEAD")} == {302}

    async def clicked() -> list[dict[str, Any]]:
        found = told(await asyncio.to_thread(post.email, scanner.email_id), "clicked")
        assert len(found) == 4  # the HEAD requests are nothing
        return found

    for one in await eventually(clicked, within=20, every=0.5):
        assert one["data"]["machine"], one
    await scanner.has(click_count=0, first_clicked_at=None, unified_status="delivered")


async def test_one_click_and_no_more_mail_comes(post: Post) -> None:
    person = await received(post, unsubscribe=True)
    await person.does("--unsubscribe")
    email = await asyncio.to_thread(post.email, person.email_id)
    assert (await asyncio.to_thread(post.suppressed))[email["to"]] == "unsubscribe"
    await ends(post, await asyncio.to_thread(post.send, email["to"]), "suppressed")


async def test_whoever_writes_to_the_address_to_leave_by_gets_no_more(post: Post) -> None:
    person = await received(post, "bob@world.test", at_leisure=False, unsubscribe=True)
    raw = next(one for one in post.mail.received("bob@world.test") if person.subject.encode() in one)
    message = message_from_bytes(raw, policy=policy.default)
    (address,) = re.findall("<mailto:([^>?]+)[?]subject=unsubscribe>", message["List-Unsubscribe"])

    def leave(sender: str) -> None:
        letter = f"From: {sender}\r\nTo: {address}\r\nSubject: unsubscribe\r\n\r\n"
        with smtplib.SMTP(LOOPBACK, post.mail.mx) as session:
            session.sendmail(sender, [address], letter)

    await asyncio.to_thread(leave, "carol@world.test")  # who never had this email
    await asyncio.to_thread(leave, "bob@world.test")

    async def is_suppressed() -> bool:
        return "bob@world.test" in await asyncio.to_thread(post.suppressed)

    await eventually(is_suppressed, within=20, every=0.5)
    assert "carol@world.test" not in await asyncio.to_thread(post.suppressed)
    await ends(post, await asyncio.to_thread(post.send, "bob@world.test"), "suppressed")


async def test_a_report_that_a_broken_route_kept_back_is_told_from_a_file(post: Post, tmp_path: Path) -> None:
    person = await received(post, at_leisure=False)
    (raw,) = (one for one in post.mail.received("alice@world.test") if person.subject.encode() in one)
    email = await asyncio.to_thread(post.email, person.email_id)
    report = (OWN / "postfix-full.eml").read_bytes().replace(b"cy@a.example", email["to"].encode())
    returns = raw[raw.index(b"<") : raw.index(b">") + 1]
    (tmp_path / "late.eml").write_bytes(b"Delivered-To: " + returns + b"\n" + report)
    for _ in range(2):
        done = await asyncio.to_thread(ingest, post, str(tmp_path / "late.eml"))
        assert (done["class"], done["taken"], done["said"]) == ("soft", True, ["bounced"])
        assert done["email_id"] == person.email_id
    email = await person.has(unified_status="bounced")
    assert len(told(email, "bounced")) == 1
    assert email["to"] not in await asyncio.to_thread(post.suppressed)


def ingest(post: Post, *words: str) -> dict[str, Any]:
    """Run the command and return what it says of its one message."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "ingest", "--json", *words],
        env={**os.environ, "SENDLOG_HOME": str(post.world.home)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_forged_reports_and_receipts_change_nothing_and_are_counted(post: Post) -> None:
    person = await received(post, "alice@world.test", tracking={"read": True})
    raw = next(one for one in post.mail.received("alice@world.test") if person.subject.encode() in one)
    returns = re.search(rb"^Return-Path: <([^>]+)>", raw, re.MULTILINE)
    assert returns
    at_first = await asyncio.to_thread(post.email, person.email_id)
    # A made-up address of ours, one whose MAC is wrong, and the right one with somebody who had no such email.
    right = returns[1].decode()
    wrong = right.replace("@", "a@") if right[-16] != "a" else right.replace("@", "b@")
    counts = {(kind, fate): post.counted(kind, fate) for kind, fate in FATES}
    for to in ("bounce+17@platform.test", wrong, right):
        await (await received(post, at_leisure=False)).does("--forge-dsn", to)
    await person.does("--forge-mdn", "sender@platform.test")

    def are_counted() -> bool:
        more = {(kind, fate): post.counted(kind, fate) - before for (kind, fate), before in counts.items()}
        assert more == FATES
        return True

    await eventually(are_counted, within=20, every=0.5)
    assert await asyncio.to_thread(post.email, person.email_id) == at_first
    assert "victim@world.test" not in await asyncio.to_thread(post.suppressed)
