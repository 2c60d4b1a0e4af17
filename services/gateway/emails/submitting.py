"""Taking an email in: said again, it is told again; said first, it is on disk before the answer.

Each stage works on one item and knows no HTTP request: check (a template is resolved before it), grant
(times, account), store (body, attachments), accept (the event), append. A keyed request is looked up
before anything that the time or the configuration could answer differently on a repeat; who was first is
decided by the log's own guard and by nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import structlog
from prometheus_client import Counter

from services.gateway import errors, identifiers, plain_text, rendering_threads
from services.gateway.emails import (
    acceptance,
    attaching,
    draft,
    effort,
    fields,
    presentation,
    repeats,
    unsubscribing,
)
from services.gateway.emails.repeats import UNCONFIRMED, Claim, First
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Request, Services
from services.gateway.templates.entries import Source
from services.gateway.templates.resolving import Resolver
from shared.events import email, submission
from shared.events.record import Record
from shared.runtime import configuration, content, handles, publisher
from shared.runtime.configuration import Account
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
ACCEPTED: Final = Counter("sendlog_emails_accepted_total", "Emails that were answered with 202")

WITHIN: Final = 1.7
APPEND_WITHIN: Final = 1.5
LOOKUP_WITHIN: Final = 0.5


class Answer(NamedTuple):
    """What the client is told, and whether it was told so before."""

    data: presentation.Accepted
    replayed: bool = False


async def submit(request: Request, made: draft.Draft, about: Claim) -> Answer:
    """Append the request to the log, or find that it is there already.

    Raises: ApiError 400, 409, 422, 503.
    """
    services = request.services

    async def event() -> submission.Requested:
        now = datetime.now(UTC)
        by = await granted(services, about.workspace, made, now)
        kept = await store_content(services, about, made, now)
        return accepted(services, about, made, kept, by, now)

    return await once(request, about, event)


async def once(
    request: Request, about: Claim, event: Callable[[], Awaitable[submission.Requested]]
) -> Answer:
    """Append what `event` returns, unless the first request of this key is there: then it is told again.

    Raises: ApiError; what `event` raises counts only for the first.
    """
    services = request.services
    if about.request_hash is not None and (first := await repeats.first_in_row(services, about)):
        return _again(about, first)
    try:
        made = await event()
    except ApiError:
        if about.request_hash is not None and (first := await repeats.first_in_log(services, about)):
            return _again(about, first)
        raise
    return await _append(request, about, made)


async def checked(
    services: Services,
    workspace: str,
    value: Any,
    before: Iterable[Problem] = (),
    unusable: list[draft.Unusable] | None = None,
) -> draft.Draft:
    """Return the draft in a decoded body; `before` are problems that are known already.

    A dry run gives `unusable`, which gets the recipients without an address; they are no problem then.

    Raises: ApiError 400 with every problem, or 422 of a template.
    """
    send, problems = fields.read(value)
    problems = [*before, *problems]
    source = await _source(services, workspace, send)
    checker = draft.Checker(send, problems, source=source)
    checker.unusable = unusable
    large = effort.is_large(send, source)
    made = await rendering_threads.run(checker.draft, rendering_threads.WITHIN) if large else checker.draft()
    if problems:
        raise errors.invalid(errors.told(problems + acceptance.time_problems(made, datetime.now(UTC))))
    if checker.templates:
        raise ApiError(
            errors.TEMPLATE_ERROR,
            "a template cannot be rendered; see details",
            errors.told(checker.templates),
        )
    return made


async def _source(services: Services, workspace: str, send: fields.Send) -> Source | Problem | None:
    if send.template_id is None:
        return None
    try:
        async with asyncio.timeout(LOOKUP_WITHIN):
            return await Resolver(services.templates, workspace).source(send)
    except TimeoutError:
        raise errors.unavailable("the template could not be looked up; nothing was sent") from None


async def granted(services: Services, workspace: str, made: draft.Draft, now: datetime) -> acceptance.Sender:
    """Return who sends it. Raises: ApiError 400 for its times or its wish to unsubscribe, 422 for its account, 503."""
    if problems := acceptance.time_problems(made, now):
        raise errors.invalid(problems)
    found = acceptance.sender(made, await account_for(services, workspace, made.account_id))
    if isinstance(found, Problem):
        raise no_account([found])
    if problems := unsubscribing.problems(made, found.account, services.tokens):
        raise errors.invalid(problems)
    return found


async def account_for(services: Services, workspace: str, account_id: str | None) -> Account | None:
    """Return the account that is named, else the workspace's default one. Raises: ApiError 503."""
    try:
        if account_id is None:
            entry = await services.workspaces.get(workspace)
            account_id = entry.default_account_id if entry else None
        if account_id is None:
            return None
        return await services.accounts.get(configuration.account_key(workspace, account_id))
    except BrokerUnavailable as error:
        raise errors.unavailable(UNCONFIRMED) from error


def no_account(problems: list[Problem]) -> ApiError:
    """Return the refusal of an email that no account may send, in the words of the first problem."""
    first = problems[0]
    message = f"{first.path.removeprefix('$.')}: {first.message}"
    return ApiError(errors.SMTP_ACCOUNT_REQUIRED, message, problems)


async def store_content(
    services: Services, about: Claim, made: draft.Draft, now: datetime
) -> acceptance.Kept:
    """Return the content as it travels; what is too large for the log is stored first. Raises: ApiError 503."""
    require_room(services)
    large = len(made.html or "") + len(made.text or "") > effort.LARGE
    body = await asyncio.to_thread(packed, made) if large else packed(made)
    if body.packed is not None and email.must_be_stored(body):
        key = acceptance.content_key(about.workspace, about.email_id, body.packed, now)
        body = await store_body(services, key, body)
    return acceptance.Kept(body, await attaching.store(services.content, about.workspace, made.attachments))


def require_room(services: Services) -> None:
    """Refuse new mail while the log is nearly full. Raises: ApiError 503."""
    if not services.log_has_room:
        raise errors.unavailable(
            "the log is full: new mail is not accepted until there is room; nothing was sent"
        )


async def store_body(services: Services, key: str, body: email.Body) -> email.Body:
    """Put a packed body into the content store and return what refers to it. Raises: ApiError 503."""
    try:
        await services.content.put(key, body.packed or b"")
    except content.ContentUnavailable as error:
        logger.error("content_not_stored", key=key, error=str(error))
        raise errors.unavailable("the email's content could not be stored; nothing was sent") from error
    return email.Body(key=key, size=body.size)


def packed(made: draft.Draft) -> email.Body:
    """Return the body as it would travel in the log, with the text derived where there is none. Pure."""
    text = made.text
    if text is None and made.html is not None:
        text = plain_text.from_html(made.html)
    return email.pack(email.Content(html=made.html, text=text))


def accepted(
    services: Services,
    about: Claim,
    made: draft.Draft,
    kept: acceptance.Kept,
    by: acceptance.Sender,
    now: datetime,
    place: acceptance.Place | None = None,
) -> submission.Requested:
    """Return the request as the log will hold it: whatever is made for this one email is made here."""
    boundary = identifiers.boundary()
    domain = by.from_.address.rpartition("@")[2]
    message_id = handles.message_id(services.tokens, about.workspace, about.email_id, domain)
    tracker = email.Tracker(
        url=services.settings.tracker_url,
        key_id=services.tokens.current,
        leave_one_time=by.account.leave_one_time_links,
        return_path=handles.sender(services.tokens, about.email_id, by.account, by.from_.address),
    )
    event = acceptance.accept(made, kept, by, message_id, now, boundary, about.request_hash, place, tracker)
    return unsubscribing.linked(services, about, event, by.account) if made.unsubscribe else event


def record_of(about: Claim, event: submission.Requested, traceparent: str | None) -> Record:
    """Return the record to append; `traceparent` is the request's, once it is known to be one."""
    return Record(about.workspace, about.email_id, identifiers.event_id(), event, traceparent=traceparent)


async def _append(request: Request, about: Claim, event: submission.Requested) -> Answer:
    item = record_of(about, event, identifiers.traceparent(request.headers.get("traceparent")))
    try:
        await request.services.publisher.append(item, guard=0, within=APPEND_WITHIN)
    except publisher.Conflict:
        if event.email.resent_from is None:  # those of a resent email are the first one's
            await attaching.drop(request.services.content, event.email.attachments)
        return _again(about, await repeats.met(request.services, about))
    except publisher.Unconfirmed as error:
        logger.warning("email_unconfirmed", email_id=about.email_id, error=str(error))
        raise errors.unavailable(UNCONFIRMED) from error
    ACCEPTED.inc()
    return Answer(presentation.accepted(about.email_id, event.release, event.email, event.occurred_at))


async def again(services: Services, value: Any, about: Claim, refusal: ApiError) -> Answer:
    """Answer the repeat of a send by a template that has changed since, as the first was answered.

    Raises: ApiError; the refusal, when this is no repeat.
    """
    if about.request_hash is None or not isinstance(value, dict) or value.get("template_id") is None:
        raise refusal
    first = await repeats.first_in_row(services, about) or await repeats.first_in_log(services, about)
    if first is None:
        raise refusal
    return _again(about, first)


def _again(about: Claim, first: First) -> Answer:
    repeats.require_same(about, first)
    answer = presentation.accepted(about.email_id, first.release, first.email, first.created_at)
    return Answer(answer, replayed=True)
