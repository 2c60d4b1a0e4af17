"""Taking a batch in: checked item by item, appended as one broker batch, answered in the order it was asked in.

All accepted items are on disk before the answer, or none is. A repeat is found by its first accepted email,
which knows what was rejected; the rest of the answer follows from the request itself.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final

import structlog

from services.gateway import errors, identifiers, json_body
from services.gateway.emails import (
    batch_checking,
    batch_fields,
    batch_preparing,
    batch_verdicts,
    presentation,
    repeats,
    submitting,
)
from services.gateway.emails.batch_fields import Form
from services.gateway.emails.batch_preparing import Batch, Ready
from services.gateway.emails.repeats import UNCONFIRMED, First
from services.gateway.errors import ApiError
from services.gateway.request import Reply, Request, Services
from services.gateway.templates.resolving import Resolver
from shared.events import email, submission
from shared.events.base import WorkspaceId
from shared.runtime import publisher

logger = structlog.get_logger(__name__)
PREPARE_WITHIN: Final = 10.0
_LARGE: Final = 64 * 1024
_TOO_LONG: Final = "the batch takes too long to prepare; nothing was sent: send it in several"
_TOO_MUCH: Final = "the emails of the batch are too large together; nothing was sent: send it in several"


async def submit(request: Request) -> Reply:
    """Accept a batch, or tell again what was accepted first. Raises: ApiError."""
    services = request.services
    if not services.client.is_connected:
        raise errors.unavailable(UNCONFIRMED)
    async with services.batches:
        try:
            async with asyncio.timeout(PREPARE_WITHIN):
                batch, form = await _read(request)
                prepared = await _prepared(request, batch, form)
        except TimeoutError:
            raise batch_checking.too_large(_TOO_LONG) from None
    if isinstance(prepared, First):
        return await _again(batch, form, prepared)
    ready, rejected, now = prepared
    if ready.records and (first := await _append(services, batch, ready)):
        return await _again(batch, form, first)
    batch_id = batch.batch_id if ready.records else None
    return batch_verdicts.answer(form.items, ready.ids, _addressed(ready), rejected, now, batch_id)


def _addressed(ready: Ready) -> dict[int, batch_verdicts.Addressed]:
    """Return whom each accepted item is to, by its place: the records are in the order of the ids. Pure."""
    events = [item.event for item in ready.records if isinstance(item.event, submission.Requested)]
    return {
        number: presentation.addressed(event.email) for number, event in zip(ready.ids, events, strict=True)
    }


async def _addressed_again(form: Form, refused: set[int]) -> dict[int, batch_verdicts.Addressed]:
    pace = batch_checking.Pace()
    found = {}
    for item in form.items:
        if item.number not in refused:
            found[item.number] = batch_verdicts.addressed(item.value["to"])
        if pace.is_over:
            await pace.rest()
    return found


async def _read(request: Request) -> tuple[Batch, Form]:
    """Return the batch and its items, not looked into yet. Raises: ApiError 400."""
    key, problems = repeats.key_of(request)
    large = len(request.body) > _LARGE
    value = await asyncio.to_thread(json_body.parse, request.body) if large else json_body.parse(request.body)
    form, wrong = batch_fields.read(value)
    if problems or wrong:
        raise errors.invalid([*problems, *wrong])
    workspace = WorkspaceId(request.workspace)
    about = repeats.claim(workspace, key, value)
    return Batch(about, key, len(form.items), batch_verdicts.batch_id(workspace, key)), form


Prepared = tuple[Ready, tuple[email.Rejection, ...], datetime]


async def _prepared(request: Request, batch: Batch, form: Form) -> Prepared | First:
    """Return what to append and what was rejected, or the first of this key. Raises: ApiError."""
    services = request.services
    if batch.key is not None and (first := await repeats.first_in_row(services, batch.about)):
        return first
    try:
        decided = await _decided(request, batch, form)
    except ApiError:
        if batch.key is not None and (first := await repeats.first_in_log(services, batch.about)):
            return first
        raise
    if batch.key is not None and not decided[0].records:  # with a record, the log's guard would tell
        return await repeats.first_in_log(services, batch.about) or decided
    return decided


async def _decided(request: Request, batch: Batch, form: Form) -> Prepared:
    services = request.services
    files, wrong = batch_checking.shared_files(form)
    checked = await batch_checking.check(form.items, Resolver(services.templates, request.workspace))
    now = datetime.now(UTC)
    good, refused = await batch_preparing.granted(services, batch.about.workspace, checked, wrong, now)
    if form.mode == "atomic" and (refusal := batch_verdicts.refusal(refused.values())):
        raise refusal
    rejected = batch_verdicts.rejections(refused)
    if not good:
        return Ready([], {}), rejected, now
    submitting.require_room(services)
    trace = identifiers.traceparent(request.headers.get("traceparent"))
    return await batch_preparing.ready(services, batch, good, files, rejected, now, trace), rejected, now


async def _append(services: Services, batch: Batch, ready: Ready) -> First | None:
    """Append all records; return the first request of this key if it was quicker. Raises: ApiError 413, 503."""
    try:
        await services.publisher.append_all(ready.records, within=submitting.APPEND_WITHIN)
    except publisher.Conflict:
        await batch_preparing.drop(services, ready.records)
        return await repeats.met(services, batch.about)
    except publisher.TooLarge:
        await batch_preparing.drop(services, ready.records)
        raise batch_checking.too_large(_TOO_MUCH) from None
    except publisher.Unconfirmed as error:
        logger.warning("batch_unconfirmed", batch_id=batch.batch_id, error=str(error))
        raise errors.unavailable(UNCONFIRMED) from error
    submitting.ACCEPTED.inc(len(ready.records))
    return None


async def _again(batch: Batch, form: Form, first: First) -> Reply:
    """Answer a repeat as the first request was answered. Raises: ApiError 409."""
    repeats.require_same(batch.about, first)
    place = first.email.batch
    assert place is not None, "a single send never has a batch's hash"
    refused = {one.index for one in place.rejections}
    indexes = [item.number for item in form.items if item.number not in refused]
    ids = batch_verdicts.ids(batch.about.workspace, batch.key, indexes)
    shown = await _addressed_again(form, refused)
    reply = batch_verdicts.answer(
        form.items, ids, shown, place.rejections, first.created_at, first.email.batch_id
    )
    reply.headers = {"Idempotent-Replayed": "true"}
    return reply
