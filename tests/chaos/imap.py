"""C17: a linked mailbox whose tracker is killed, whose sessions end, and which is deleted and made anew."""

import asyncio
import collections
import contextlib
import json
import random
import urllib.request
from typing import Any

import pytest

from deploy.local.ports import LOOPBACK
from shared.runtime import handles, keyring, tokens
from tests.chaos import scenario
from tests.chaos.ledger import Verdict
from tests.chaos.scenario import Size
from tests.controls import mailworld
from tests.controls.dovecot import USER, Inbox
from tests.controls.eventually import eventually
from tests.controls.mailworld import PASSWORD, MailWorld
from tests.controls.world import World

OWN = "hello@sendlog.test"
SAMPLE = mailworld.KIT.parent / "dsn-real" / "postfix-failed-ghost.eml"
MOST = 10_000
A_BATCH = 500


async def run(size: Size, world: World) -> list[Verdict]:
    """Let a bounce for each email arrive in a linked mailbox, disturb its reading, and let all arrive once more."""
    if reason := await asyncio.to_thread(_unavailable):
        return [Verdict("each report takes effect once", None, reason)]
    mail = await asyncio.to_thread(MailWorld)
    account = ""
    try:
        inbox = await asyncio.to_thread(Inbox, mail, "Reports")
        account = await asyncio.to_thread(_linked, world, mail)
        verified = await asyncio.to_thread(world.call, "POST", f"/accounts/{account}/verify", {})
        emails = await asyncio.to_thread(_sent, world, account, min(MOST, size.emails // 2))
        await asyncio.sleep(2)  # it is linked within a second
        reports = _reports(world, emails)
        half = len(reports) // 2
        await asyncio.to_thread(inbox.put, *reports[:half])
        await _disturbed(size, world, inbox)
        first = await _bounced(world, emails[:half], within=120 + half / 20)
        flags = await asyncio.to_thread(inbox.flags)
        await asyncio.to_thread(inbox.recreate)
        await asyncio.to_thread(inbox.put, *reports)
        every = await _bounced(world, emails, within=120 + len(reports) / 20)
        await asyncio.sleep(2)  # for what would come twice
        counts = await asyncio.to_thread(_counts, world, emails)
        twice = [email_id for email_id, count in counts.items() if count != 1]
        marked = [flag for flag in flags if b"Seen" in flag or b"Deleted" in flag]
        return [
            Verdict("the mailbox can be read", verified["data"]["imap"]["ok"], str(verified["data"]["imap"])),
            Verdict("what waits is read, whoever is killed", first == half, f"{first} of {half}"),
            Verdict("a mailbox made anew is read", every == len(emails), f"{every} of {len(emails)}"),
            Verdict("each report takes effect once", not twice, f"{len(twice)} of {len(emails)} do not"),
            Verdict("nothing in the mailbox is marked", not marked, f"{len(marked)} are"),
        ]
    finally:
        if account:
            await asyncio.to_thread(world.call, "DELETE", f"/accounts/{account}")
        await asyncio.to_thread(mail.stop)


def _unavailable() -> str | None:
    try:
        mailworld.need()
    except pytest.skip.Exception as skipped:
        return str(skipped)
    return None if SAMPLE.exists() else f"no {SAMPLE}"


def _linked(world: World, mail: MailWorld) -> str:
    imap = {
        "host": LOOPBACK, "port": mail.imap, "tls": "starttls", "tls_ca": mail.authority, "username": USER,
        "password": PASSWORD, "mailbox": "Reports",
    }  # fmt: skip
    return world.account(world.ports["MAILBOX_SMTP"], "linked", imap=imap)


def _sent(world: World, account: str, count: int) -> list[tuple[str, str]]:
    """Return (id, recipient) of as many emails, all accepted."""
    found: list[tuple[str, str]] = []
    run_ = random.randrange(10**9)
    for begin in range(0, count, A_BATCH):
        to = [f"u{run_}-{number}@example.com" for number in range(begin, min(begin + A_BATCH, count))]
        body = {
            "subject": "hi", "text": "x", "smtp_account_id": account, "recipients": [{"to": one} for one in to],
        }  # fmt: skip
        answer = world.call("POST", "/emails/batch", body)
        found += [(item["id"], recipient) for item, recipient in zip(answer["data"], to, strict=True)]
    return found


def _reports(world: World, emails: list[tuple[str, str]]) -> list[bytes]:
    signer = tokens.Tokens(keyring.load(world.home / "keyring"))
    sample = SAMPLE.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    made = []
    for email_id, to in emails:
        path = handles.return_path(signer, "default", email_id, None, OWN)
        made.append(f"Delivered-To: {path}\r\n".encode() + sample.replace(b"ghost@world.test", to.encode()))
    return made


async def _disturbed(size: Size, world: World, inbox: Inbox) -> None:
    """Kill the tracker while it reads, and end its sessions."""
    for _ in range(max(1, size.faults // 10)):
        await asyncio.sleep(random.uniform(0.05, 1.0))
        await scenario.kill(world, "tracker")
        await asyncio.sleep(random.uniform(2, 20))  # a killed one's hold lasts 15 s
        await asyncio.to_thread(inbox.kick)


async def _bounced(world: World, emails: list[tuple[str, str]], within: float) -> int:
    """Return of how many emails a bounce was told, once it is all or the time is over."""

    async def told() -> bool:
        return len(await asyncio.to_thread(_counts, world, emails)) == len(emails)

    with contextlib.suppress(AssertionError):  # asked rarely where there are many: each answer has them all
        await eventually(told, within=within, every=1.0 + len(emails) / 1000)
    return len(await asyncio.to_thread(_counts, world, emails))


def _counts(world: World, emails: list[tuple[str, str]]) -> dict[str, int]:
    """Return how many bounces were told of each email."""
    wanted = {email_id for email_id, _ in emails}
    request = urllib.request.Request(
        f"{world.variables['SENDLOG_URL']}/api/v1/tracking/export?format=ndjson",
        headers={"Authorization": f"Bearer {world.key}"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        rows: list[dict[str, Any]] = [json.loads(line) for line in answer if line.strip()]
    return dict(
        collections.Counter(
            row["emailId"] for row in rows if row["type"] == "bounced" and row["emailId"] in wanted
        )
    )
