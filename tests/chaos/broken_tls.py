"""C7: TLS that is missing, refused, broken off, garbled, expired or somebody else's; nothing leaves in clear."""

import asyncio
import base64
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.relay import a_relay, a_tap, unavailable
from tests.chaos.scenario import Size
from tests.controls.world import World

PASSWORD = "canary-password-7291"
SUBJECT = "canary subject 7291"
# What the account's mail says about each way of breaking it: code and category of its status_reason.
FAULTS = {
    "off": ("tls_unavailable", "tls"),
    "454": ("454", "tls"),
    "garbage": ("protocol_error", "network"),
    "drop": ("connection_lost", "network"),
    "expired": ("tls_certificate", "tls"),
    "wronghost": ("tls_certificate", "tls"),
}
_READABLE = (
    PASSWORD.encode(),
    base64.b64encode(PASSWORD.encode()),
    base64.b64encode(f"\0user\0{PASSWORD}".encode()),
    SUBJECT.encode(),
    b"MAIL FROM",
    b"AUTH ",
)


async def run(size: Size, world: World) -> list[Verdict]:
    """Send through each; first the whole one, which shows that the tap hears and the mail would leave."""
    if missing := unavailable():
        return [Verdict("the whole scenario", None, missing)]
    status, reason, _, heard = await _sent_through(world, "on")
    verdicts = [
        Verdict(
            "control: with TLS in order it is sent, and the tap hears only the greeting in clear",
            status == "sent" and b"STARTTLS" in heard and not _readable(heard),
            f"{status}: {reason}; {len(heard)} bytes heard",
        )
    ]
    for fault, named in FAULTS.items():
        status, reason, stored, heard = await _sent_through(world, fault)
        found = (reason.get("code"), reason.get("category"))
        verdicts.append(
            Verdict(
                f"TLS {fault}: waits, named {named[0]}, nothing in clear",
                status == "deferred" and found == named and not stored and not _readable(heard),
                f"{status}: {found} {reason.get('message')}; in clear: {_readable(heard)}",
            )
        )
    return [*verdicts, Ledger(world).no_secret_in_logs(PASSWORD)]


async def _sent_through(world: World, fault: str) -> tuple[str, dict[str, Any], int, bytes]:
    """Return status and reason of an email, how many the relay stored, and what the wire gave away."""
    pem = Path(tempfile.mkdtemp(prefix="tls-", dir=world.home)) / "ca.pem"
    options = [] if fault == "off" else ["--auth", f"user:{PASSWORD}", "--cert-out", str(pem)]
    async with a_relay(world.home, "--tls", fault, *options) as relay, a_tap(relay.port) as tap:
        trusted: dict[str, Any] = {"tls_ca": pem.read_text()} if pem.exists() else {}
        account = await asyncio.to_thread(
            partial(
                world.account, tls="starttls", auth="password", username="user", password=PASSWORD, **trusted
            ),
            tap.port,
            f"tls {fault}",
        )
        await asyncio.sleep(1.2)
        ledger = Ledger(world)
        async with ledger.session() as session:
            made = await ledger.send(session, "ok+tls@x.test", smtp_account_id=account, subject=SUBJECT)
            await ledger.settled(within=20, final=("sent", "failed", "deferred"))
            async with session.get(f"/api/v1/emails/{made.id}") as answer:
                data = (await answer.json())["data"]
        stored = sum(bool(line.get("stored")) for line in relay.journal())
        return data["status"], data["status_reason"] or {}, stored, bytes(tap.heard)


def _readable(heard: bytes) -> list[bytes]:
    return [word for word in _READABLE if word in heard]
