"""Sending an email once more: the same to the same recipients, as an email of its own that says where it is from.

Whatever makes a message one of a kind (id, Message-ID, Date, boundary, signed addresses) is made anew; files are
referred to where they lie, for they go only when the last email that names them has expired.
"""

import asyncio
from datetime import UTC, datetime

import msgspec

from services.gateway import errors
from services.gateway.emails import draft, fields, reading, repeats, store, submitting
from services.gateway.emails.repeats import Claim
from services.gateway.request import Reply, Request, Services
from shared.events import email, submission
from shared.events.base import EmailId, WorkspaceId
from shared.runtime import postgres


async def resend(request: Request) -> Reply:
    """Accept the email again. Raises: ApiError 404, 409 when its content is gone, 422, 503."""
    key, problems = repeats.key_of(request)
    if problems:
        raise errors.invalid(problems)
    email_id = EmailId(request.path["id"])
    about = repeats.claim(WorkspaceId(request.workspace), key, {"resend": email_id})

    async def event() -> submission.Requested:
        return await _again(request, about, email_id)

    try:
        async with asyncio.timeout(submitting.WITHIN):
            answer = await submitting.once(request, about, event)
    except TimeoutError as error:
        raise errors.unavailable(repeats.UNCONFIRMED) from error
    return Reply(answer.data, headers={"Idempotent-Replayed": "true"} if answer.replayed else None)


async def _again(request: Request, about: Claim, email_id: EmailId) -> submission.Requested:
    """Return the request for the new email, out of what is known of the old one. Raises: ApiError."""
    services = request.services
    found = await reading.load(services, request.workspace, email_id)
    old = found.state.email
    assert old is not None
    try:
        content = await reading.load_content(services, request.workspace, email_id, found.records)
        await reading.require_files(services, request.workspace, email_id, old)
        await _require_time(services, request.workspace, email_id)
    except reading.ContentGone as error:
        raise reading.gone(error) from error
    made, now = draft_of(old, content), datetime.now(UTC)
    by = await submitting.granted(services, about.workspace, made, now)
    kept = (await submitting.store_content(services, about, made, now))._replace(attachments=old.attachments)
    event = submitting.accepted(services, about, made, kept, by, now)
    lineage = {
        "resent_from": email_id,
        "template_id": old.template_id,
        "template_version": old.template_version,
    }
    return msgspec.structs.replace(event, email=msgspec.structs.replace(event.email, **lineage))


async def _require_time(services: Services, workspace: str, email_id: EmailId) -> None:
    """Refuse what may be deleted any moment, before its files are known to be another email's too.

    Raises: reading.ContentGone.
    """
    try:
        due = await store.within(reading.ROW_WITHIN, store.is_due(services.pool, workspace, email_id))
    except postgres.UNAVAILABLE:
        return  # whoever deletes asks the same database
    if due:
        raise reading.ContentGone(reading.EXPIRED)


def draft_of(old: email.Email, content: email.Content) -> draft.Draft:
    """Return what the client wanted sent then, to be sent at once. Pure."""
    return draft.Draft(
        to=old.to,
        cc=old.cc,
        bcc=old.bcc,
        to_is_string=old.to_is_string,
        reply_to=old.reply_to,
        from_=old.from_,
        from_name=old.from_.name,
        subject=old.subject,
        html=content.html,
        text=content.text,
        headers=old.headers,
        scheduled_at=None,
        expires_at=None,
        account_id=old.account_id,
        tracking=fields.Tracking(**msgspec.structs.asdict(old.tracking)),
        tags=old.tags,
        metadata=old.metadata,
        unsubscribe=old.unsubscribe_url is not None or old.unsubscribe_address is not None,
    )
