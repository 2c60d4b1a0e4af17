"""From an accepted email to the bytes the next hop gets: equal at every attempt.

The bodies are fetched before the claim, so that a content store that does not answer costs no attempt.
"""

import zlib

import msgspec

from services.dispatcher.envelope import Envelope
from shared.events import email as email_
from shared.mail import address, composing, list_unsubscribe
from shared.runtime.content import ContentMissing, ContentStore


class ContentLost(Exception):
    """The email's content is gone or damaged: no attempt will ever send it."""


async def content_of(email: email_.Email, store: ContentStore) -> email_.Content:
    """Return the bodies, wherever they travel. Raises: ContentLost, ContentUnavailable."""
    body = email.body
    if body is None:
        return email_.Content()
    if body.content is not None:
        return body.content
    try:
        packed = body.packed if body.packed is not None else await store.get(body.key or "")
        return email_.unpack(packed)
    except (ContentMissing, zlib.error, msgspec.DecodeError) as error:
        raise ContentLost(repr(error)) from error


def envelope(
    email: email_.Email, content: email_.Content, recipients: tuple[str, ...], email_id: str
) -> Envelope:
    """Return the envelope and message for these recipients."""
    letter = composing.Letter(
        message_id=email.message_id,
        date=email.date,
        from_address=email.from_.address,
        from_name=email.from_.name,
        to=email.to,
        cc=email.cc,
        reply_to=email.reply_to,
        subject=email.subject,
        html=content.html,
        text=content.text,
        headers=email.headers,
        boundary=email.boundary,
        extra=list_unsubscribe.fields(email.unsubscribe_url),
    )
    return Envelope(
        mail_from=address.to_ascii_domain(email.from_.address),
        recipients=[address.to_ascii_domain(recipient) for recipient in recipients],
        message=composing.compose(letter),
        envid=email_id,
        notify="SUCCESS,FAILURE,DELAY" if email.tracking.delivery else None,
        smtputf8=composing.needs_smtputf8(letter),
    )
