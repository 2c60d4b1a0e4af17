"""Verifying an account: connect for real and say capability by capability what is there.

The one request between services: only a dispatcher talks SMTP, so a gateway asks it over the broker.
"""

from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.dispatcher.house import House
from services.dispatcher.outcome import Reply, SmtpError
from services.dispatcher.smtp import Session
from shared.mail import address
from shared.runtime import configuration, handles, outgoing
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import Account
from shared.runtime.keyring import KeyringError
from shared.runtime.log import BrokerUnavailable
from shared.runtime.tokens import Tokens

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


_NO_EMAIL: Final = "00000000-0000-0000-0000-000000000000"
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
        senders = await _senders(session, house, account)
        ok = all(check.ok for check in senders)
        tokens = house.origin(account.workspace, _NO_EMAIL).tokens
        return Report(ok, [*capabilities(session, account), *senders, comes_back(account, tokens)])
    finally:
        await session.close()


async def _senders(session: Session, house: House, account: Account) -> list[Check]:
    """Try the envelope sender of every domain the account sends from; the signed token stands for no email."""
    tokens, checks = house.origin(account.workspace, _NO_EMAIL).tokens, []
    for identity in {
        address.normalised(one.address).rpartition("@")[2]: one for one in account.identities
    }.values():
        sender = handles.sender(tokens, _NO_EMAIL, account, identity.address)
        if session.usable and sender.isascii():
            checks.append(sender_check(sender, await session.try_sender(sender)))
        if account.return_path_domain:  # then it is one for all
            break
    return checks


def sender_check(sender: str, reply: Reply | None) -> Check:
    """Return what the server said to the sender that mail will have. Pure."""
    local, _, domain = sender.rpartition("@")
    shown = f"{local.partition('+')[0]}+…@{domain}" if "+" in local else sender
    if reply is None:
        return Check("envelope_sender", False, f"the server went away when asked about {shown}")
    if reply.code < 300:
        return Check("envelope_sender", True, f"{shown} is accepted")
    return Check("envelope_sender", False, f"{shown} is refused, and mail from it will be: {reply}")


def comes_back(account: Account, tokens: Tokens) -> Check:
    """Return where reports about mail go, and what it costs to have no domain for them. Pure."""
    if account.return_path_domain:
        where = f"reports go to {handles.PREFIX}+…@{account.return_path_domain}: its mail must lead to the ingress"
        return Check("return_path", True, where)
    cost = (
        "without a return_path_domain reports go to the sender's own address with +…: bounces arrive only where "
        "that mailbox takes +… and is linked by IMAP or leads to the ingress, its owner sees them too, and a server "
        "that allows no sender but the login refuses the mail"
    )
    unsigned = [
        one.address
        for one in account.identities
        if handles.sender(tokens, _NO_EMAIL, account, one.address) == address.to_ascii_domain(one.address)
    ]
    if unsigned:
        cost += f"; {', '.join(unsigned[:5])} has no room for +…, so bounces of its mail suppress nobody"
    return Check("return_path", False, cost)


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
