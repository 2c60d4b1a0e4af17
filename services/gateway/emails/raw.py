"""The exact message of an email, as it was or would be sent, out of what is known of the email.

It is made by the code that makes what is sent, out of the same letter: nothing of it is kept besides.
"""

from collections.abc import Sequence

import structlog

from services.gateway import errors
from services.gateway.emails import reading, submitting
from services.gateway.request import Download, Request, Services
from shared.events import email, fold
from shared.events.base import EmailId
from shared.events.record import Record
from shared.runtime import message, signing
from shared.runtime.configuration import Account
from shared.runtime.instrumenting import Origin
from shared.runtime.keyring import KeyringError

logger = structlog.get_logger(__name__)


async def show(request: Request) -> Download:
    """Return the message as a file. Raises: ApiError 404, 409 when its content is gone, 503."""
    services, email_id = request.services, EmailId(request.path["id"])
    found = await reading.load(services, request.workspace, email_id)
    sent = as_sent(found.state, found.records)
    try:
        content = await reading.load_content(services, request.workspace, email_id, found.records)
        await reading.require_files(services, request.workspace, email_id, sent)
    except reading.ContentGone as error:
        raise reading.gone(error) from error
    account = await submitting.account_for(services, request.workspace, sent.account_id)
    origin = Origin(services.tokens, request.workspace, email_id)
    signed = signer(services, account, sent)
    opened = message.open_message(sent, content, services.content, origin, signer=signed)
    return Download("message/rfc822", f"{email_id}.eml", opened.size, opened.pieces())


def signer(services: Services, account: Account | None, sent: email.Email) -> message.Signer | None:
    """Return what the dispatcher would sign the email with; an account that is gone signs nothing.

    Raises: ApiError 503.
    """
    if account is None:
        return None
    try:
        return signing.signer_for(account, sent.from_.address, services.keyring)
    except KeyringError as error:
        logger.error("signing_key_unreadable", account_id=account.id, error=str(error))
        raise errors.unavailable("the account's DKIM key cannot be read right now") from error


def as_sent(state: fold.State, records: Sequence[Record]) -> email.Email:
    """Return the email as its latest release has it: one that was moved is dated when it was moved to. Pure."""
    released = [item for item in records if getattr(item.event, "email", None) is not None]
    latest = max(released, key=lambda item: getattr(item.event, "round", 0), default=None)
    sent: email.Email | None = getattr(latest.event, "email", None) if latest else state.email
    assert sent is not None
    waits = latest is None or not getattr(latest.event, "round", 0)
    if waits and state.revision and state.scheduled_at is not None:
        return sent.moved(state.scheduled_at)
    return sent
