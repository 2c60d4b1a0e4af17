"""The routes of /emails: their shapes, permissions and codes."""

from services.gateway import errors
from services.gateway.emails import (
    batch_fields,
    batch_submitting,
    batch_verdicts,
    fields,
    handlers,
    index,
    listing,
    presentation,
    raw,
    resending,
)
from services.gateway.routing import Route

_TAG = "Emails"

ROUTES = (
    Route(
        method="POST",
        path="/emails/send",
        permission="email.send",
        summary="Send an email",
        description="202 once the email is on disk. With an Idempotency-Key a repeat gets the first answer again.",
        handler=handlers.send,
        body=fields.Send,
        decode=False,
        data=presentation.Accepted,
        status=202,
        idempotency_key=True,
        errors=(errors.SMTP_ACCOUNT_REQUIRED, errors.TEMPLATE_ERROR, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/emails/batch",
        permission="email.send",
        summary="Send up to 1000 emails at once",
        description="Either `emails`, each a send object, or `recipients` beside the fields they share: an item's own "
        "fields replace the shared ones (of `variables`, those it names), and all texts are rendered. `atomic` (the "
        "default) takes all items or, if one is bad, none, and lists every item's problems. `partial` takes the good "
        "ones and says in the others' places why they are `rejected`; with no good one nothing is stored and the "
        "`batch_id` is null. What is accepted is on disk as one before the answer, and waits for its account's turn: "
        "single sends overtake it. With an Idempotency-Key a repeat gets the same ids and rejections again. Counts "
        "as one request.",
        handler=batch_submitting.submit,
        body=batch_fields.Body,
        decode=False,
        data=list[batch_verdicts.Result],
        meta=batch_verdicts.Meta,
        status=202,
        idempotency_key=True,
        errors=(errors.SMTP_ACCOUNT_REQUIRED, errors.TEMPLATE_ERROR, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/emails",
        permission="email.history",
        summary="List emails",
        description="Newest first. `cursor` pages stably through any depth; `to` and `from` find a whole address "
        "exactly and part of one anywhere in it; `*_after` is inclusive, `*_before` is not.",
        handler=handlers.list_,
        query=listing.Query,
        data=list[presentation.Shown],
        meta=index.Meta,
        errors=(errors.UNAVAILABLE,),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/emails/{id}",
        permission="email.history",
        summary="Read one email",
        description="Never behind its caller: readable from the moment of its 202.",
        handler=handlers.show,
        query=handlers.Include,
        data=presentation.Shown,
        errors=(errors.NOT_FOUND, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/emails/{id}/raw",
        permission="email.history",
        summary="Read the message itself",
        description="The exact bytes that were or would be sent. 409 once the content has expired.",
        handler=raw.show,
        data=bytes,
        produces="message/rfc822",
        errors=(errors.NOT_FOUND, errors.CONFLICT, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/emails/{id}/resend",
        permission="email.send",
        summary="Send an email again",
        description="The same content and attachments to the same recipients, at once, as a new email with "
        "`resent_from`. 409 once the content has expired.",
        handler=resending.resend,
        data=presentation.Accepted,
        status=202,
        idempotency_key=True,
        errors=(errors.NOT_FOUND, errors.CONFLICT, errors.SMTP_ACCOUNT_REQUIRED, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="DELETE",
        path="/emails/{id}",
        permission="email.send",
        summary="Cancel an email that still waits",
        description="A cancelled email is never sent, and a sent one is never reported cancelled.",
        handler=handlers.cancel,
        data=handlers.Cancelled,
        errors=(errors.NOT_FOUND, errors.CONFLICT, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="PATCH",
        path="/emails/{id}",
        permission="email.send",
        summary="Reschedule a scheduled email",
        handler=handlers.reschedule,
        body=handlers.Move,
        data=presentation.Shown,
        errors=(errors.NOT_FOUND, errors.CONFLICT, errors.UNAVAILABLE),
        tag=_TAG,
    ),
)
