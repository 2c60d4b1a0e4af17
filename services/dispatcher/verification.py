"""Verifying an account: connect for real and say capability by capability what is there.

The one request between services: only a dispatcher talks SMTP, so a gateway asks it over the broker.
"""

from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.dispatcher.house import House
from services.dispatcher.outcome import SmtpError
from services.dispatcher.smtp import Session
from shared.runtime import configuration, outgoing
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account
from shared.runtime.keyring import KeyringError
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
SUBJECT: Final = "verify.accounts"


class Question(msgspec.Struct):
    """Which account to verify."""

    workspace: str
    account_id: str


class Check(msgspec.Struct):
    """One capability: whether it is there, and what that means."""

    name: str
    ok: bool
    message: str


class Report(msgspec.Struct):
    """All that was found; `ok` says whether mail can be sent."""

    ok: bool
    checks: list[Check]


_STEPS: Final = ("resolve", "connect", "banner", "tls", "ehlo", "auth")


async def answer(client: Client, house: House, accounts: Bucket[Account], allowed: outgoing.Networks) -> None:
    """Answer questions until the connection is closed; one dispatcher of the group takes each."""

    async def on_question(message: Msg) -> None:
        try:
            question = msgspec.json.decode(message.data, type=Question)
            report = await _verify(question, house, accounts, allowed)
            await message.respond(msgspec.json.encode(report))
        except (msgspec.MsgspecError, BrokerUnavailable) as error:
            logger.warning("verify_failed", error=str(error))

    await client.subscribe(SUBJECT, queue="dispatcher", cb=on_question)


async def _verify(
    question: Question, house: House, accounts: Bucket[Account], allowed: outgoing.Networks
) -> Report:
    account = await accounts.get(configuration.account_key(question.workspace, question.account_id))
    if account is None:
        return Report(False, [Check("account", False, "there is no such account")])
    try:
        house.check_keys(account)
        server = house.server(account)
    except KeyringError as error:
        return Report(False, [Check("secret", False, str(error))])
    try:
        session = await Session.open(server, allowed=allowed)
    except SmtpError as error:
        return Report(False, failed(error))
    try:
        return Report(True, capabilities(session, account))
    finally:
        await session.close()


def failed(error: SmtpError) -> list[Check]:
    """Return the steps up to the one that failed. Pure."""
    checks = []
    for step in _STEPS:
        if step == error.phase:
            checks.append(Check(step, False, str(error)))
            break
        checks.append(Check(step, True, "ok"))
    return checks


def capabilities(session: Session, account: Account) -> list[Check]:
    """Return what the server offers, and what its absence costs."""
    offered = session.extensions
    checks = [Check(step, True, "ok") for step in _STEPS if step != "auth"]
    checks.append(Check("auth", True, "not asked for" if account.smtp.auth == "none" else "accepted"))
    checks.append(Check("encryption", session.tls is not None, session.tls or "the session is in clear"))
    size = f"up to {offered.size} bytes" if offered.size else "no limit announced"
    checks += [
        Check("size", offered.size_offered, size),
        Check("pipelining", offered.pipelining, "without it every email costs more round trips"),
        Check("8bitmime", offered.eightbit, "not needed: bodies are sent as 7bit"),
        Check("smtputf8", offered.smtputf8, "without it addresses with non-ASCII local parts fail"),
        Check("dsn", offered.dsn, "without it nothing reports that an email was delivered"),
    ]
    return checks
