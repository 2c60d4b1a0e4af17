"""C7 and C8: a relay that refuses, stalls, drops and breaks TLS; three recipients with three answers."""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from deploy.local.ports import free_port
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.scenario import Size
from tests.controls.world import ROOT, World

CHAOS = ROOT.parent / "shared" / "testkit" / "mailworld" / "chaos_smtp.py"
TLS_FAULTS = ("off", "454", "garbage", "drop", "expired", "wronghost")
CANARY = "canary-password-7291"


class Relay:
    """The test kit's chaos server as a process, with its journal."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="sendlog-relay-"))
        self._journal = self._directory / "journal.jsonl"
        self._process = subprocess.Popen(
            [sys.executable, str(CHAOS), "--port", str(self.port), "--journal", str(self._journal), *options],
            stdout=subprocess.PIPE,
            cwd=self._directory,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def journal(self) -> list[dict[str, Any]]:
        """Return every decision the relay has written down."""
        return [json.loads(line) for line in self._journal.read_text().splitlines()]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


async def run(size: Size, world: World) -> list[Verdict]:
    """Send through a relay that misbehaves by dice and by word; outcomes are named rightly, none is lost."""
    if not CHAOS.exists():
        return [
            Verdict(
                "the whole scenario", None, f"{CHAOS} is not there: the test kit is not beside the checkout"
            )
        ]
    return [
        *await _dice(world, min(1000, size.emails)),
        *await _words(world),
        *await _broken_tls(world),
    ]


async def _dice(world: World, count: int) -> list[Verdict]:
    dice = (
        "--p-4xx",
        ".1",
        "--p-5xx",
        ".05",
        "--p-drop-data",
        ".05",
        "--p-drop-after-commit",
        ".05",
        "--p-421",
        ".02",
    )
    relay = Relay("--seed", "7", *dice)
    try:
        account = await asyncio.to_thread(world.account, relay.port, "dice")
        await asyncio.sleep(1.2)
        ledger = Ledger(world)
        await ledger.many(count, 16, smtp_account_id=account)
        statuses = await ledger.settled(within=60, final=("sent", "failed", "deferred"))
        stored: dict[str, set[str]] = defaultdict(set)
        copies: Counter[str] = Counter()
        for line in relay.journal():
            if line.get("stored"):
                stored[str(line["mid"])].add(str(line["sha"]))
                copies[str(line["mid"])] += 1
        wrong = [
            a.id
            for a in ledger.accepted.values()
            if statuses.get(a.id) == "sent" and a.message_id not in stored
        ]
        refused = [
            a.id
            for a in ledger.accepted.values()
            if statuses.get(a.id) == "failed" and a.message_id in stored
        ]
        unequal = [mid for mid, hashes in stored.items() if len(hashes) > 1]
        counts = Counter(statuses.get(i, "missing") for i in ledger.accepted)
        return [
            ledger.none_sticks(statuses, ("sent", "failed", "deferred")),
            Verdict("sent means stored, failed means not", not wrong and not refused, str(dict(counts))),
            Verdict(
                "copies are equal",
                not unequal,
                f"{sum(copies.values()) - len(copies)} extra, {len(unequal)} unequal",
            ),
        ]
    finally:
        relay.stop()


WORDS = {
    "550+a@x.test": ("failed", "invalid_recipient"),
    "450+a@x.test": ("deferred", None),
    "552full+a@x.test": ("failed", "mailbox_full"),
    "554spam+a@x.test": ("failed", "spam"),
    "drop+a@x.test": ("deferred", "network"),
    "commitdrop+a@x.test": ("deferred", "network"),
    "garbage+a@x.test": ("deferred", "network"),
    "ok+a@x.test": ("sent", None),
}


async def _words(world: World) -> list[Verdict]:
    relay = Relay("--greylist", "0")
    try:
        account = await asyncio.to_thread(world.account, relay.port, "words")
        await asyncio.sleep(1.2)
        ledger = Ledger(world)
        async with ledger.session() as session:
            for to in WORDS:
                await ledger.send(session, to, smtp_account_id=account, text="line\n" * 2000)
            mix: Any = ["ok+1@x.test", "450+1@x.test", "550+1@x.test"]
            three = await ledger.send(session, mix, smtp_account_id=account)
            await ledger.settled(within=30, final=("sent", "failed", "deferred"))
            wrong = []
            for made in ledger.accepted.values():
                if made.id == three.id:
                    continue
                data = await _email(session, made.id)
                status, category = WORDS[made.to]
                found = (data["status_reason"] or {}).get("category")
                if data["status"] != status or category not in (None, found):
                    wrong.append(f"{made.to}: {data['status']} {found}")
            states = [r["status"] for r in (await _email(session, three.id))["recipients"]]
        return [
            Verdict("outcomes are named rightly", not wrong, "; ".join(wrong) or f"{len(WORDS)} words"),
            Verdict(
                "three recipients end each on their own",
                states == ["sent", "deferred", "failed"],
                str(states),
            ),
        ]
    finally:
        relay.stop()


async def _broken_tls(world: World) -> list[Verdict]:
    verdicts = []
    for fault in TLS_FAULTS:
        relay = Relay("--tls", fault, *([] if fault == "off" else ["--auth", f"user:{CANARY}"]))
        try:
            account = await asyncio.to_thread(
                partial(world.account, tls="starttls", auth="password", username="user", password=CANARY),
                relay.port,
                f"tls {fault}",
            )
            await asyncio.sleep(1.2)
            ledger = Ledger(world)
            async with ledger.session() as session:
                made = await ledger.send(session, "ok+tls@x.test", smtp_account_id=account)
                await ledger.settled(within=20, final=("sent", "failed", "deferred"))
                data = await _email(session, made.id)
            stored = [line for line in relay.journal() if line.get("stored")]
            reason = data["status_reason"] or {}
            verdicts.append(
                Verdict(
                    f"TLS {fault}: nothing in clear",
                    not stored
                    and data["status"] == "deferred"
                    and reason.get("category") in ("tls", "network"),
                    f"{data['status']}: {reason.get('code')} {reason.get('message')}",
                )
            )
        finally:
            relay.stop()
    verdicts.append(Ledger(world).no_secret_in_logs(CANARY))
    return verdicts


async def _email(session: aiohttp.ClientSession, email_id: str) -> dict[str, Any]:
    async with session.get(f"/api/v1/emails/{email_id}") as answer:
        found: dict[str, Any] = (await answer.json())["data"]
    return found
