"""C7 and C8: every way a next hop has to say no or nothing, and the word the email gets for it."""

import asyncio
import email.policy
import io
import os
from typing import Any

import aiohttp

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.relay import a_relay, unavailable
from tests.chaos.scenario import Size
from tests.controls.world import World

FILE = 3_000_000
FILES = ("ok", "drop", "commitdrop")
LARGE = "line\n" * 150_000
# By the recipient's first word: status, reason code (None: any), category (None: any).
WORDS: dict[str, tuple[str, str | None, str | None]] = {
    "ok": ("sent", None, None),
    "450": ("deferred", "451", None),
    "550": ("failed", "550", "invalid_recipient"),
    "552full": ("failed", "552", "mailbox_full"),
    "554spam": ("failed", "554", "spam"),
    "drop": ("deferred", "connection_lost", "network"),
    "commitdrop": ("deferred", "connection_lost", "network"),
    "garbage": ("deferred", None, "network"),
}
# Whole relays: options, then as above.
RELAYS: dict[str, tuple[tuple[str, ...], tuple[str, str | None, str | None]]] = {
    "greylisting": (("--greylist", "3600"), ("deferred", "450", "greylisted")),
    "421 at MAIL": (("--p-421", "1"), ("deferred", "421", None)),
    "452 after the final dot": (("--p-4xx-data", "1"), ("deferred", "452", None)),
    "too large by SIZE": (("--size", "2000"), ("failed", "message_too_large", "message_too_large")),
    "replies of many lines": (("--multiline",), ("sent", None, None)),
    "no extension at all": (("--no-pipelining", "--no-8bitmime", "--no-dsn"), ("sent", None, None)),
}


async def run(size: Size, world: World) -> list[Verdict]:
    """Send one email, small and large, per word and per relay."""
    if reason := unavailable():
        return [Verdict("the whole scenario", None, reason)]
    return [
        *await _words(world),
        *await _files(world),
        *await _relays(world),
        await _few_per_connection(world),
    ]


async def _words(world: World) -> list[Verdict]:
    async with a_relay(world.home) as relay:
        account = await _account(world, relay.port, "words")
        ledger = Ledger(world)
        async with ledger.session() as session:
            stalls = Ledger(world)  # for ten minutes: its neighbours do not wait for it
            await stalls.send(session, "stall+a@x.test", smtp_account_id=account)
            for word in WORDS:
                await ledger.send(session, f"{word}+a@x.test", smtp_account_id=account, text=LARGE)
            mix: Any = ["ok+1@x.test", "450+1@x.test", "550+1@x.test"]
            three = await ledger.send(session, mix, smtp_account_id=account)
            await ledger.settled(within=20, final=("sent", "failed", "deferred"))
            (stalled,) = stalls.accepted
            wrong = await _judge(session, stalled, ("sending", None, None), "stall")
            for made in list(ledger.accepted.values()):
                if made.id != three.id:
                    wrong += await _judge(session, made.id, WORDS[made.to.partition("+")[0]], made.to)
            states = [r["status"] for r in (await _email(session, three.id))["recipients"]]
        cut = [line for line in relay.journal() if line["fault"] == "drop-data"]
        kept = relay.kept()
    dropped = [
        made.message_id.encode() for made in ledger.accepted.values() if str(made.to).startswith("drop+")
    ]
    unfinished = [mail for mail in kept if any(word in mail for word in dropped)]
    long = [made.message_id.encode() for made in ledger.accepted.values() if made.id != three.id]
    whole = [mail.replace(b"\r\n", b"\n") for mail in kept if any(word in mail for word in long)]
    short = [mail for mail in whole if LARGE.encode() not in mail]
    return [
        Verdict("outcomes are named rightly", not wrong, "; ".join(wrong) or f"{len(WORDS)} words"),
        Verdict(
            "nothing of a message cut off in DATA is kept, all of the others is",
            bool(cut) and len(whole) >= 2 and not unfinished and not short,
            f"{len(cut)} cut off; of {len(kept)} kept {len(unfinished)} are such and {len(short)} not whole",
        ),
        Verdict(
            "three recipients end each on their own", states == ["sent", "deferred", "failed"], str(states)
        ),
    ]


async def _files(world: World) -> list[Verdict]:
    """Cut off a message with a file of some megabytes, before and after its end."""
    async with a_relay(world.home) as relay:
        account = await _account(world, relay.port, "files")
        ledger = Ledger(world)
        async with ledger.session() as session:
            sent = [await _send_file(ledger, session, f"{word}+file@x.test", account) for word in FILES]
            await ledger.settled(within=30, final=("sent", "failed", "deferred"))
            wrong = []
            for made in list(ledger.accepted.values()):
                wrong += await _judge(session, made.id, WORDS[made.to.partition("+")[0]], made.to)
        stored = relay.kept()
    whole = [mail for mail in stored if _file_in(mail) in sent]
    return [
        Verdict(
            "with a file: outcomes are named rightly", not wrong, "; ".join(wrong) or f"{len(FILES)} words"
        ),
        Verdict(
            "with a file: whole or nothing", len(whole) == len(stored) == 2, f"{len(whole)} of {len(stored)}"
        ),
    ]


async def _send_file(ledger: Ledger, session: aiohttp.ClientSession, to: str, account: str) -> bytes:
    data = os.urandom(FILE)
    form = aiohttp.FormData({"to": to, "subject": "a file", "text": "see there", "smtp_account_id": account})
    form.add_field("file", io.BytesIO(data), filename="random.bin", content_type="application/octet-stream")
    async with session.post("/api/v1/emails/send/multipart", data=form) as answer:
        told = await answer.json()
        assert answer.status == 202, told
        ledger.promise(told["data"]["id"], told["data"]["message_id"], to)
    return data


def _file_in(mail: bytes) -> bytes | None:
    """Return the file of a message as a recipient gets it."""
    read = email.message_from_bytes(mail, policy=email.policy.default)
    found = next((part.get_payload(decode=True) for part in read.iter_attachments()), None)
    return found if isinstance(found, bytes) else None


async def _relays(world: World) -> list[Verdict]:
    verdicts = []
    for name, (options, expected) in RELAYS.items():
        async with a_relay(world.home, *options) as relay:
            account = await _account(world, relay.port, name)
            ledger = Ledger(world)
            async with ledger.session() as session:
                made = await ledger.send(session, "a@x.test", smtp_account_id=account, text="line\n" * 2000)
                await ledger.settled(within=20, final=("sent", "failed", "deferred"))
                wrong = await _judge(session, made.id, expected, name)
            stored = sum(bool(line.get("stored")) for line in relay.journal())
        kept = stored == (expected[0] == "sent")
        verdicts.append(Verdict(name, not wrong and kept, "; ".join(wrong) or f"{expected}, {stored} stored"))
    return verdicts


async def _few_per_connection(world: World) -> Verdict:
    """A relay that takes three messages a connection, then says 421: that is nobody's failure."""
    async with a_relay(world.home, "--rate", "3") as relay:
        account = await _account(world, relay.port, "three per connection")
        ledger = Ledger(world)
        await ledger.many(60, 16, "three{}@x.test", smtp_account_id=account)
        statuses = await ledger.settled(within=30)
        copies = sum(bool(line.get("stored")) for line in relay.journal())
    sent = sum(statuses.get(email_id) == "sent" for email_id in ledger.accepted)
    return Verdict(
        "421 after three messages costs nobody an attempt", sent == copies == 60, f"{sent} sent, {copies}"
    )


async def _judge(
    session: aiohttp.ClientSession, email_id: str, expected: tuple[str, str | None, str | None], name: str
) -> list[str]:
    data = await _email(session, email_id)
    reason = data["status_reason"] or {}
    found = (data["status"], reason.get("code"), reason.get("category"))
    right = all(want in (None, got) for want, got in zip(expected, found, strict=True))
    return [] if right else [f"{name}: {found} {reason.get('message')}"]


async def _account(world: World, port: int, name: str) -> str:
    account = await asyncio.to_thread(world.account, port, name)
    await asyncio.sleep(1.2)
    return account


async def _email(session: aiohttp.ClientSession, email_id: str) -> dict[str, Any]:
    async with session.get(f"/api/v1/emails/{email_id}") as answer:
        found: dict[str, Any] = (await answer.json())["data"]
    return found
