"""The exact message of an email, as it was or would be sent, out of what is known of the email.

It is made by the code that makes what is sent, out of the same letter: nothing of it is kept besides.
"""

from collections.abc import AsyncGenerator, Sequence

from services.gateway.emails import reading
from services.gateway.request import Download, Request
from shared.events import email, fold
from shared.events.base import EmailId
from shared.events.record import Record
from shared.mail import composing, list_unsubscribe


async def show(request: Request) -> Download:
    """Return the message as a file. Raises: ApiError 404, 409 when its content is gone, 503."""
    email_id = EmailId(request.path["id"])
    found = await reading.load(request.services, request.workspace, email_id)
    try:
        content = await reading.load_content(request.services, request.workspace, email_id, found.records)
    except reading.ContentGone as error:
        raise reading.gone(error) from error
    whole = composing.compose(_letter(as_sent(found.state, found.records), content))
    return Download("message/rfc822", f"{email_id}.eml", len(whole), _one(whole))


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


async def _one(whole: bytes) -> AsyncGenerator[bytes, None]:
    yield whole


def _letter(sent: email.Email, content: email.Content) -> composing.Letter:
    return composing.Letter(
        message_id=sent.message_id,
        date=sent.date,
        from_address=sent.from_.address,
        from_name=sent.from_.name,
        to=sent.to,
        cc=sent.cc,
        reply_to=sent.reply_to,
        subject=sent.subject,
        html=content.html,
        text=content.text,
        headers=sent.headers,
        boundary=sent.boundary,
        extra=list_unsubscribe.fields(sent.unsubscribe_url),
    )
