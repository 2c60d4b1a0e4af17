"""The routes of /emails: their shapes, permissions and codes."""

from services.gateway import errors
from services.gateway.emails import (
    batch_fields,
    batch_submitting,
    batch_verdicts,
    downloading,
    drying,
    fields,
    form_sending,
    forms,
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
        description="202 once the email is on disk. With an Idempotency-Key a repeat gets the first answer again. At "
        "most 50 recipients, 50 addresses in `reply_to`, 10 attachments, and 100 `headers` of 64 KiB together.",
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
        method="POST",
        path="/emails/send/multipart",
        permission="email.send",
        summary="Send an email with files, as a form",
        description="Text parts are the fields of an email, in any order, arrays and objects as JSON text; `to`, "
        "`cc`, `bcc`, `reply_to` and `tags` may be repeated. Every file part is an attachment, whatever its field "
        "name: up to 10 of 50 MiB each, streamed. One with a Content-ID in its part is inline.",
        handler=form_sending.send_form,
        form=forms.SendForm,
        data=presentation.Accepted,
        status=202,
        idempotency_key=True,
        errors=(errors.SMTP_ACCOUNT_REQUIRED, errors.TEMPLATE_ERROR, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="POST",
        path="/emails/validate",
        permission="email.send",
        summary="Try a send without sending",
        description="Takes the body of a send and tells what it would do: the rendered parts, the exact size, the "
        "account, each recipient's verdict, the links clicks would be followed through. Nothing is stored or sent; "
        "what a send would refuse is refused alike, but for recipients that are no address. The verdicts say who is "
        "suppressed: whoever may send may learn that, also with a key that may not read the suppressions.",
        handler=drying.validate,
        body=fields.Send,
        decode=False,
        data=drying.Dry,
        errors=(errors.SMTP_ACCOUNT_REQUIRED, errors.TEMPLATE_ERROR, errors.UNAVAILABLE),
        tag=_TAG,
    ),
    Route(
        method="GET",
        path="/emails",
        permission="email.history",
        summary="List emails",
        description="Newest first. `cursor` pages stably through any depth; `to` and `from` find a whole address "
        "exactly and part of one anywhere in it; `*_after` is inclusive, `*_before` is not. Parts, `subject` and `q` are "
        "looked for row by row: among millions, name a time, too.",
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
        method="GET",
        path="/emails/{id}/attachments/{attachment_id}",
        permission="email.history",
        summary="Download an attachment",
        description="To be saved under its name. One range of bytes may be asked for. 404 also when the content "
        "of the email has expired; `details` says so.",
        handler=downloading.download,
        data=bytes,
        produces="*/*",
        errors=(errors.NOT_FOUND, errors.RANGE_NOT_SATISFIABLE, errors.UNAVAILABLE),
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
