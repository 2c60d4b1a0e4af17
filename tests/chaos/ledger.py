"""What a run was promised and what it got: every 202, and the invariants checked against it.

I1 every 202 is in the log or the archive; I2 each recipient of it ends or waits, none vanish or stick;
I3 extra copies are explained and equal; I4 rebuilt projections equal the live ones; I5 no workspace sees
another; I6 statuses never go backwards; I8 no secret in any log.
"""

import asyncio
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec

from shared.events import delivery
from shared.runtime import log as log_
from tests.controls.world import ROOT, World

_EMAIL_ID = re.compile(r'"email_id":"([0-9a-f-]{36})"')
FINAL = ("sent", "failed", "cancelled", "suppressed", "unconfirmed")
RANK = {"scheduled": 0, "queued": 1, "sending": 1, "deferred": 1, "failed": 2, "cancelled": 3, "sent": 4}


class Verdict(msgspec.Struct, frozen=True):
    """One promise of a run: it held, it did not, or (None) it could not be checked here."""

    name: str
    held: bool | None
    detail: str

    @property
    def skipped(self) -> bool:
        """Say whether nothing was checked."""
        return self.held is None

    @property
    def broken(self) -> bool:
        """Say whether it was checked and did not hold."""
        return self.held is False

    def __str__(self) -> str:
        word = "skipped" if self.skipped else "BROKEN" if self.broken else "holds"
        return f"{word}  {self.name}: {self.detail}"


class Accepted(msgspec.Struct):
    """One 202."""

    id: str
    message_id: str
    to: str


class Ledger:
    """Sends with idempotency keys until each email has its 202, and remembers what was promised."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.accepted: dict[str, Accepted] = {}
        self.refused: dict[int, int] = defaultdict(int)
        self.backwards: list[str] = []
        self.samples = 0
        self._seen: dict[tuple[str, str], int] = {}

    async def send(
        self,
        session: aiohttp.ClientSession,
        to: str,
        *,
        within: float = 60.0,
        key: str | None = None,
        **fields: Any,
    ) -> Accepted:
        """Send one email; repeats with the same key while the answer is 503 or there is none."""
        body = {"to": to, "subject": f"to {to}", "text": "Hello.\n" * 40} | fields
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        deadline = time.monotonic() + within
        while True:
            try:
                async with session.post("/api/v1/emails/send", json=body, headers=headers) as answer:
                    if answer.status == 202:
                        data = (await answer.json())["data"]
                        return self.promise(data["id"], data["message_id"], to)
                    self.refused[answer.status] += 1
                    if answer.status != 503:
                        raise AssertionError(f"{answer.status}: {await answer.text()}")
            except (aiohttp.ClientConnectionError, TimeoutError):
                self.refused[0] += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"no 202 for {to} within {within} s")
            await asyncio.sleep(0.1 + random.random() / 5)

    def promise(self, email_id: str, message_id: str, to: str) -> Accepted:
        """Remember one 202."""
        made = self.accepted[email_id] = Accepted(email_id, message_id, to)
        return made

    def session(self) -> aiohttp.ClientSession:
        """Return an HTTP session that carries the key of the world."""
        return aiohttp.ClientSession(
            self.world.variables["SENDLOG_URL"],
            headers={"Authorization": f"Bearer {self.world.key}"},
            timeout=aiohttp.ClientTimeout(total=15),
            connector=aiohttp.TCPConnector(limit=0),
        )

    async def many(
        self, count: int, workers: int, to: str = "user{}@example.com", *, over: float = 0.0, **fields: Any
    ) -> None:
        """Send that many emails over that many workers, spread over at least `over` seconds."""
        numbers = iter(range(count))
        began = time.monotonic()
        async with self.session() as session:

            async def worker() -> None:
                for number in numbers:
                    if (wait := began + over * number / count - time.monotonic()) > 0:
                        await asyncio.sleep(wait)
                    await self.send(session, to.format(number), **fields)

            await asyncio.gather(*(worker() for _ in range(workers)))

    async def statuses(self) -> dict[str, str]:
        """Return the raw status of every row of the workspace; notes each that went backwards."""
        database = await asyncpg.connect(self.world.variables["SENDLOG_DATABASE_URL"], timeout=10)
        try:
            rows = await database.fetch("SELECT email_id, status FROM projector.emails")
        finally:
            await database.close()
        found = {str(row["email_id"]): row["status"] for row in rows}
        for email_id, status in found.items():
            self.saw("the rows", email_id, status)
        return found

    def saw(self, where: str, email_id: str, status: str) -> None:
        """Note a status; rows and API are two views, of which only each by itself may not go back."""
        rank, before = RANK.get(status, 2), self._seen.get((where, email_id), 0)
        if rank < before:
            self.backwards.append(f"{email_id} went back to {status} in {where}")
        self._seen[where, email_id] = max(rank, before)
        self.samples += 1

    async def settled(self, within: float, final: tuple[str, ...] = FINAL) -> dict[str, str]:
        """Wait until every accepted email has a final status, at most `within` seconds; return all."""
        deadline = time.monotonic() + within
        found: dict[str, str] = {}
        while time.monotonic() < deadline:
            try:
                found = await self.statuses()
                if all(found.get(email_id) in final for email_id in self.accepted):
                    return found
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass  # Postgres is one of the processes that get killed
            await asyncio.sleep(0.25)
        return found

    # --- the invariants -------------------------------------------------------------------------

    async def every_202_is_kept(self) -> Verdict:
        """I1."""
        missing = []
        async with self.session() as session:
            ids = list(self.accepted)
            for start in range(0, len(ids), 64):
                answers = await asyncio.gather(*(self._found(session, i) for i in ids[start : start + 64]))
                missing += [i for i, found in zip(ids[start : start + 64], answers, strict=True) if not found]
        return Verdict(
            "I1 every 202 is kept", not missing, f"{len(self.accepted)} accepted, {len(missing)} missing"
        )

    async def _found(self, session: aiohttp.ClientSession, email_id: str) -> bool:
        """Ask until there is an answer: the gateway may have been killed a moment ago."""
        for _ in range(60):
            try:
                async with session.get(f"/api/v1/emails/{email_id}") as answer:
                    if answer.status in (200, 404):
                        return answer.status == 200
            except (aiohttp.ClientConnectionError, TimeoutError):
                pass
            await asyncio.sleep(0.5)
        return False

    def none_sticks(self, statuses: dict[str, str], allowed: tuple[str, ...] = ("sent",)) -> Verdict:
        """I2."""
        stuck = [(i, statuses.get(i)) for i in self.accepted if statuses.get(i) not in allowed]
        detail = f"{len(self.accepted) - len(stuck)} of {len(self.accepted)} ended {' or '.join(allowed)}"
        return Verdict(
            "I2 none vanishes, none sticks", not stuck, f"{detail}; {stuck[:3]}" if stuck else detail
        )

    async def copies_are_explained(
        self, messages: dict[str, list[str]], *, must_arrive: bool = True
    ) -> Verdict:
        """I3: `messages` maps Message-ID to the hash of each copy that arrived."""
        lost = [a for a in self.accepted.values() if a.message_id not in messages] if must_arrive else []
        by_message = {a.message_id: a.id for a in self.accepted.values()}
        extra = {m: hashes for m, hashes in messages.items() if len(hashes) > 1 and m in by_message}
        unequal = [m for m, hashes in extra.items() if len(set(hashes)) > 1]
        unexplained = []
        client = await log_.connect(self.world.variables["SENDLOG_NATS_URL"], "chaos")
        emails = log_.Log(client)
        await emails.open()
        for message_id, hashes in extra.items():
            history = await emails.history("default", by_message[message_id])
            claims = sum(isinstance(item.event, delivery.Sending) for item in history)
            if claims < len(hashes):
                unexplained.append(message_id)
        await client.close()
        copies = sum(len(hashes) - 1 for hashes in extra.values())
        held = not (lost or unequal or unexplained)
        detail = (
            f"{len(lost)} lost, {copies} extra copies, {len(unexplained)} unexplained, {len(unequal)} unequal"
        )
        return Verdict("I3 nothing lost, copies explained and equal", held, detail)

    async def rebuilt_equals_live(self) -> Verdict:
        """I4, over this run's emails: mail of a scenario before it may still be retried meanwhile."""
        live = await self._dumped()
        await self._projector("rebuild", "--json")
        rebuilt = await self._dumped()
        return Verdict("I4 rebuilt equals live", live == rebuilt, f"{live[:12]} and {rebuilt[:12]}")

    async def _dumped(self) -> str:
        lines = (await self._projector("dump")).splitlines()
        found = (_EMAIL_ID.search(line) for line in lines)
        ours = [line for line, at in zip(lines, found, strict=True) if at and at[1] in self.accepted]
        assert ours, "the dump knows none of this run's emails"
        return hashlib.sha256("\n".join(ours).encode()).hexdigest()

    async def _projector(self, tool: str, *arguments: str) -> str:
        command = [sys.executable, "-m", f"services.projector.{tool}", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=self._environment(), capture_output=True
        )
        assert done.returncode == 0, f"{tool}: {done.stderr.decode()[-2000:]}"
        return done.stdout.decode().strip()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.world.variables}

    async def no_workspace_sees_another(self) -> Verdict:
        """I5."""
        made = subprocess.run(
            [sys.executable, "-m", "cli", "workspaces", "add", f"w{uuid.uuid4().hex[:8]}", "--json"],
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            check=True,
        )
        answer = json.loads(made.stdout)
        key = answer.get("key") or answer["data"]["key"]
        seen = []
        async with aiohttp.ClientSession(
            self.world.variables["SENDLOG_URL"], headers={"Authorization": f"Bearer {key}"}
        ) as session:
            async with session.get("/api/v1/emails") as listed:
                if (await listed.json())["data"]:
                    seen.append("list")
            for email_id in list(self.accepted)[:50]:
                async with session.get(f"/api/v1/emails/{email_id}") as one:
                    if one.status != 404:
                        seen.append(email_id)
        return Verdict("I5 no workspace sees another", not seen, f"{len(seen)} seen")

    def none_went_backwards(self) -> Verdict:
        """I6."""
        detail = f"{len(self.backwards)} of {self.samples} samples did {self.backwards[:3]}"
        return Verdict("I6 statuses never go backwards", bool(self.samples) and not self.backwards, detail)

    def no_secret_in_logs(self, *canaries: str) -> Verdict:
        """I8."""
        found = []
        for path in Path(self.world.home).glob("logs/*"):
            text = path.read_text("utf-8", "replace")
            found += [path.name for canary in (self.world.key, *canaries) if canary in text]
        return Verdict("I8 no secret in any log", not found, f"{len(found)} found {found[:3]}")
