"""Verifying a linked mailbox: log in for real and say step by step what is there.

Only a tracker talks IMAP, so a gateway asks one over the broker, as it asks a dispatcher about SMTP.
"""

from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.tracker import imap_linking, imap_reading
from services.tracker.imap import ImapFault, Mailbox, Seen
from shared.runtime import configuration, outgoing
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account, Imap
from shared.runtime.keyring import Keyring
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
SUBJECT: Final = "verify.mailboxes"
_STEPS: Final = ("secret", "resolve", "connect", "tls", "login", "mailbox")


class Question(msgspec.Struct):
    """Which account's mailbox to verify."""

    workspace: str
    account_id: str


class Check(msgspec.Struct):
    """One step or capability: whether it is there, and what that means."""

    name: str
    ok: bool
    message: str


class Report(msgspec.Struct):
    """All that was found; `ok` says whether the mailbox can be read."""

    ok: bool
    checks: list[Check]


async def answer(
    client: Client, accounts: Bucket[Account], ring: Keyring, allowed: outgoing.Networks
) -> None:
    """Answer questions until the connection is closed; one tracker of the group takes each."""

    async def on_question(message: Msg) -> None:
        try:
            question = msgspec.json.decode(message.data, type=Question)
            key = configuration.account_key(question.workspace, question.account_id)
            report = await _verify(await accounts.get(key), ring, allowed)
            await message.respond(msgspec.json.encode(report))
        except (msgspec.MsgspecError, BrokerUnavailable) as error:
            logger.warning("verify_failed", error=str(error))

    await client.subscribe(SUBJECT, queue="tracker", cb=on_question)


async def _verify(account: Account | None, ring: Keyring, allowed: outgoing.Networks) -> Report:
    if account is None or account.imap is None:
        return Report(False, [Check("account", False, "no mailbox is linked")])
    try:
        mailbox = await Mailbox.open(imap_linking.server(account, account.imap, ring), allowed)
        try:
            seen = await mailbox.examine()
            return Report(True, capabilities(mailbox.tls, mailbox.can_idle, seen, account.imap))
        finally:
            await mailbox.close()
    except ImapFault as fault:
        return Report(False, failed(fault))


def failed(fault: ImapFault) -> list[Check]:
    """Return the steps up to the one that failed. Pure."""
    done = _STEPS[: _STEPS.index(fault.step)] if fault.step in _STEPS else _STEPS
    return [*(Check(step, True, "ok") for step in done), Check(fault.step, False, fault.message)]


def capabilities(tls: str | None, can_idle: bool, seen: Seen, imap: Imap) -> list[Check]:
    """Return what the server offers, and what its absence costs. Pure."""
    poll = f"without it new mail is noticed after up to {imap_reading.POLL:g} s"
    validity = f"UIDVALIDITY {seen.validity}" if seen.validity else "without it nobody can say what was read"
    return [
        *(Check(step, True, "ok") for step in _STEPS if step != "mailbox"),
        Check("mailbox", True, f"{imap.mailbox} can be read"),
        Check("encryption", tls is not None, tls or "the session is in clear"),
        Check("idle", can_idle, "new mail is noticed at once" if can_idle else poll),
        Check("uidvalidity", seen.validity > 0, validity),
    ]
