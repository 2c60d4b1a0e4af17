"""The way of one email from a request's body into the log: checked, granted, stored, appended.

What a client did with an Idempotency-Key is looked up before anything that the time or the configuration
could answer differently on a repeat; who was first is decided by the log's own guard and by nothing else.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
import structlog
from prometheus_client import Counter

from services.gateway import errors, plain_text
from services.gateway.emails import acceptance, draft, fields, identifiers, presentation, reading, store
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Request, Services
from shared.events import email, submission
from shared.events.base import EmailId, WorkspaceId
from shared.events.record import Record
from shared.runtime import configuration, content, postgres, publisher
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
ACCEPTED: Final = Counter("sendlog_emails_accepted_total", "Emails that were answered with 202")
REPLAYED: Final = Counter(
    "sendlog_emails_replayed_total", "Repeats that were answered with the first one's answer"
)

WITHIN: Final = 1.7
APPEND_WITHIN: Final = 1.5
LOOKUP_WITHIN: Final = 0.2
UNCONFIRMED: Final = (
    "the email is not confirmed: it may or may not have been accepted; repeat the request with the same "
    "Idempotency-Key, and it is sent once"
)
_canonical: Final = msgspec.json.Encoder(order="sorted").encode


class First(NamedTuple):
    """What is remembered of the request that was accepted under a key."""

    release: str | None
    email: email.Email
    created_at: datetime


class Answer(NamedTuple):
    """What the client is told, and whether it was told so before."""

    data: presentation.Accepted
    replayed: bool = False


class Claim(NamedTuple):
    """Which email this request is about, and how a repeat of it is recognised."""

    workspace: WorkspaceId
    email_id: EmailId
    request_hash: str | None


def key_of(request: Request) -> tuple[str | None, list[Problem]]:
    """Return the Idempotency-Key, and what is wrong with it: told together with the body's problems."""
    key = request.headers.get("Idempotency-Key")
    if key is None or identifiers.is_key(key):
        return key, []
    return None, [Problem('$.headers["Idempotency-Key"]', "must be 1 to 255 printable ASCII characters")]


def claim(workspace: WorkspaceId, key: str | None, value: Any) -> Claim:
    """Return the email's id: derived from the key if there is one, else fresh. `value` is the decoded body."""
    if key is None:
        return Claim(workspace, identifiers.fresh(), None)
    return Claim(workspace, identifiers.keyed(workspace, key), identifiers.digest(_canonical(value)))


async def checked(value: Any, before: Iterable[Problem] = ()) -> draft.Draft:
    """Return the draft in a decoded body; `before` are problems that are known already.

    Raises: ApiError 400 with every problem, or 422 of a template.
    """
    send, problems = fields.read(value)
    problems = [*before, *problems]
    checker = draft.Checker(send, problems)
    made = await asyncio.to_thread(checker.draft) if draft.is_large(send) else checker.draft()
    if problems:
        raise errors.invalid(problems + acceptance.time_problems(made, datetime.now(UTC)))
    if checker.templates:
        raise ApiError(errors.TEMPLATE_ERROR, "a template cannot be rendered; see details", checker.templates)
    return made


async def submit(request: Request, made: draft.Draft, about: Claim) -> Answer:
    """Append the request to the log, or find that it is there already.

    Raises: ApiError 400, 409, 422, 503.
    """
    if about.request_hash is not None and (first := await _first_in_row(request.services, about)):
        return _again(about, first)
    now = datetime.now(UTC)
    try:
        by = await _granted(request.services, about.workspace, made, now)
        body = await _body(request.services, about, made, now)
    except ApiError:
        if about.request_hash is not None and (first := await _first_in_log(request.services, about)):
            return _again(about, first)
        raise
    event = acceptance.accept(made, body, by, about.email_id, now, identifiers.boundary(), about.request_hash)
    return await _append(request, about, event)


async def _granted(services: Services, workspace: str, made: draft.Draft, now: datetime) -> acceptance.Sender:
    """Return who sends it. Raises: ApiError 400 for its times, 422 for its account, 503."""
    if problems := acceptance.time_problems(made, now):
        raise errors.invalid(problems)
    account_id = made.account_id
    try:
        if account_id is None:
            entry = await services.workspaces.get(workspace)
            account_id = entry.default_account_id if entry else None
        account = None
        if account_id is not None:
            account = await services.accounts.get(configuration.account_key(workspace, account_id))
    except BrokerUnavailable as error:
        raise errors.unavailable(UNCONFIRMED) from error
    found = acceptance.sender(made, account)
    if isinstance(found, Problem):
        raise ApiError(
            errors.SMTP_ACCOUNT_REQUIRED, f"{found.path.removeprefix('$.')}: {found.message}", [found]
        )
    return found


async def _body(services: Services, about: Claim, made: draft.Draft, now: datetime) -> email.Body:
    """Return the body as it travels; what is too large for the log is stored first. Raises: ApiError 503."""
    if not services.log_has_room:
        raise errors.unavailable(
            "the log is full: new mail is not accepted until there is room; nothing was sent"
        )
    large = len(made.html or "") + len(made.text or "") > draft.LARGE
    packed = await asyncio.to_thread(_packed, made) if large else _packed(made)
    if packed.packed is None or not email.must_be_stored(packed):
        return packed
    key = acceptance.content_key(about.workspace, about.email_id, packed.packed, now)
    try:
        await services.content.put(key, packed.packed)
    except content.ContentUnavailable as error:
        logger.error("content_not_stored", email_id=about.email_id, error=str(error))
        raise errors.unavailable("the email's content could not be stored; nothing was sent") from error
    return email.Body(key=key, size=packed.size)


def _packed(made: draft.Draft) -> email.Body:
    text = made.text
    if text is None and made.html is not None:
        text = plain_text.from_html(made.html)
    return email.pack(email.Content(html=made.html, text=text))


async def _append(request: Request, about: Claim, event: submission.Requested) -> Answer:
    trace = identifiers.traceparent(request.headers.get("traceparent"))
    item = Record(about.workspace, about.email_id, identifiers.event_id(), event, traceparent=trace)
    try:
        await request.services.publisher.append(item, guard=0, within=APPEND_WITHIN)
    except publisher.Conflict:
        return await _met(request.services, about)
    except publisher.Unconfirmed as error:
        logger.warning("email_unconfirmed", email_id=about.email_id, error=str(error))
        raise errors.unavailable(UNCONFIRMED) from error
    ACCEPTED.inc()
    return Answer(presentation.accepted(about.email_id, event.release, event.email, event.occurred_at))


async def _met(services: Services, about: Claim) -> Answer:
    """Answer a request that came second: as the first one was, if it asked the same."""
    first = await _first_in_log(services, about) or await _first_in_row(services, about)
    if first is None:
        raise errors.unavailable(UNCONFIRMED)
    return _again(about, first)


def _again(about: Claim, first: First) -> Answer:
    if first.email.request_hash != about.request_hash:
        raise ApiError(
            errors.IDEMPOTENCY_MISMATCH,
            "this Idempotency-Key was used for another request; use a key for one email",
        )
    REPLAYED.inc()
    answer = presentation.accepted(about.email_id, first.release, first.email, first.created_at)
    return Answer(answer, replayed=True)


async def _first_in_row(services: Services, about: Claim) -> First | None:
    """Look the email up in Postgres; one that does not answer at once is not waited for."""
    try:
        question = store.find_state(services.pool, about.workspace, about.email_id)
        state = await store.within(LOOKUP_WITHIN, question)
    except (*postgres.UNAVAILABLE, asyncpg.PostgresError):
        return None
    if state is None or state.email is None or state.created_at is None:
        return None
    return First(state.release, state.email, state.created_at)


async def _first_in_log(services: Services, about: Claim) -> First | None:
    """Look the request up in the log. Raises: ApiError 503."""
    try:
        event = reading.request_in(await services.log.history(about.workspace, about.email_id, within=1.0))
    except BrokerUnavailable as error:
        raise errors.unavailable(UNCONFIRMED) from error
    return First(event.release, event.email, event.occurred_at) if event else None
