"""What POST /emails/send/multipart does: files into the store first, then the way every email goes.

Nothing is left of what was not accepted. Only when nobody knows whether the log has the email do its files stay:
if no record names them, the projector sweeps them.
"""

import asyncio

import msgspec

from services.gateway import errors
from services.gateway.emails import forms, repeats, submitting
from services.gateway.emails.attaching import Uploads
from services.gateway.emails.draft import Draft
from services.gateway.emails.repeats import UNCONFIRMED, Claim
from services.gateway.errors import ApiError
from services.gateway.request import Reply, Request
from shared.events.base import WorkspaceId


async def send_form(request: Request) -> Reply:
    """Accept one email with the files of a form. Raises: ApiError."""
    assert request.incoming is not None
    submitting.require_room(request.services)
    uploads = Uploads(request.services.content, request.workspace)
    key, problems = repeats.key_of(request)
    try:
        form = await forms.read(request.incoming, uploads)
        about = repeats.claim(WorkspaceId(request.workspace), key, form.identity())
        wrong = [*problems, *form.problems]
        try:
            made = await submitting.checked(request.services, request.workspace, form.value, wrong)
        except ApiError as refusal:
            answer = await submitting.again(request.services, form.value, about, refusal)
            await uploads.drop()
            return _told(answer)
    except BaseException:
        await uploads.drop()
        raise
    return _told(
        await _submit(request, msgspec.structs.replace(made, attachments=form.files), about, uploads)
    )


def _told(answer: submitting.Answer) -> Reply:
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
    return Reply(answer.data, headers=headers)


async def _submit(request: Request, made: Draft, about: Claim, uploads: Uploads) -> submitting.Answer:
    try:
        async with asyncio.timeout(submitting.WITHIN):
            answer = await submitting.submit(request, made, about)
    except TimeoutError as error:
        raise errors.unavailable(UNCONFIRMED) from error
    except ApiError as refusal:
        if refusal.message != UNCONFIRMED:
            await uploads.drop()
        raise
    if answer.replayed:
        await uploads.drop()
    return answer
