"""From an accepted email to the envelope and the bytes the next hop gets: equal at every attempt.

The bodies are fetched, and the files looked for, before the claim, so that a content store that does not answer
costs no attempt. So is the message written: one that cannot be has no claim to conclude.
"""

import msgspec

from services.dispatcher.envelope import Envelope
from shared.events import email as email_
from shared.mail import address
from shared.runtime import handles, message
from shared.runtime.content import ContentStore
from shared.runtime.instrumenting import Origin
from shared.runtime.message import Signer


async def content_of(email: email_.Email, store: ContentStore) -> email_.Content:
    """Return the bodies once every file was seen to be there.

    Raises: message.ContentLost, ContentUnavailable.
    """
    if email.attachments:
        await message.check_files(email, store)
    return await message.content_of(email, store)


def envelope(
    email: email_.Email,
    content: email_.Content,
    recipients: tuple[str, ...],
    origin: Origin,
    store: ContentStore,
    signer: Signer | None = None,
) -> Envelope:
    """Return the envelope and message for these recipients.

    Raises: composing.ComposeError, address.AddressError.

    Bounces come back whether or not the email asks for reports of its delivery, so its handles are always there.
    """
    opened = message.open_message(email, content, store, origin, signer=signer)
    sender = email.tracker.return_path if email.tracker else None
    return Envelope(
        mail_from=sender or address.to_ascii_domain(email.from_.address),
        recipients=_spoken(recipients),
        message=opened,
        envid=handles.envid(origin.tokens, origin.workspace, origin.email_id),
        notify="SUCCESS,FAILURE,DELAY" if email.tracking.delivery else None,
    )


def addressed(envelope: Envelope, recipients: tuple[str, ...]) -> Envelope:
    """Return the same message for these recipients."""
    return msgspec.structs.replace(envelope, recipients=_spoken(recipients))


def _spoken(recipients: tuple[str, ...]) -> list[str]:
    return [address.to_ascii_domain(recipient) for recipient in recipients]
