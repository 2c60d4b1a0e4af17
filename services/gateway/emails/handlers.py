"""What each route of /emails does: load, decide, append, answer.

A decision that lost a race is made again on the state that won; only a state that forbids the step ends it.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from services.gateway import errors, identifiers, json_body
from services.gateway.emails import (
    changes,
    index,
    listing,
    presentation,
    reading,
    repeats,
    submitting,
    timeline,
    times,
)
from services.gateway.emails.draft import Draft
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Reply, Request
from shared.events import fold, submission
from shared.events.base import EmailId, WorkspaceId
from shared.events.record import Record
from shared.runtime import postgres, publisher

logger = structlog.get_logger(__name__)
RACES: Final = 20
PARTS: Final = ("content", "attempts", "events")
Change = submission.Cancelled | submission.Rescheduled


class Include(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to add to the email: any of content, attempts, events, separated by commas."""

    include: str | None = None


class Move(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When to send the email instead: RFC 3339 with an offset, at most a year ahead."""

    scheduled_at: str


class Cancelled(msgspec.Struct, frozen=True):
    """The email that will not be sent."""

    id: str
    status: str = "cancelled"


async def send(request: Request) -> Reply:
    """Accept one email. Raises: ApiError."""
    key, problems = repeats.key_of(request)
    value = json_body.parse(request.body)
    about = repeats.claim(WorkspaceId(request.workspace), key, value)
    draft: Draft | ApiError  # rendering has a time of its own: what is late with it is not unconfirmed
    try:
        draft = await submitting.checked(request.services, request.workspace, value, problems)
    except ApiError as refusal:
        draft = refusal
    try:
        async with asyncio.timeout(submitting.WITHIN):
            if isinstance(draft, ApiError):
                answer = await submitting.again(request.services, value, about, draft)
            else:
                answer = await submitting.submit(request, draft, about)
    except TimeoutError as error:
        raise errors.unavailable(repeats.UNCONFIRMED) from error
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
    return Reply(answer.data, headers=headers)


async def show(request: Request) -> Reply:
    """Tell everything about one email. Raises: ApiError."""
    parts = _parts(request.query.include)
    email_id = EmailId(request.path["id"])
    found = await reading.load(
        request.services, request.workspace, email_id, events=not parts.isdisjoint({"attempts", "events"})
    )
    added: dict[str, object] = {}
    if "content" in parts:
        added |= await _content(request, email_id, found)
    if "attempts" in parts:
        added["attempts"] = timeline.attempts(found.records)
    if "events" in parts:
        added["events"] = timeline.events(found.records)
    return Reply(msgspec.structs.replace(presentation.shown(email_id, found.state), **added))


async def _content(request: Request, email_id: EmailId, found: reading.Reading) -> dict[str, object]:
    try:
        content = await reading.load_content(request.services, request.workspace, email_id, found.records)
    except reading.ContentGone:
        return {"html": None, "text": None}
    return {"html": content.html, "text": content.text}


def _parts(include: str | None) -> set[str]:
    parts = set(include.split(",")) if include else set()
    if unknown := sorted(parts - set(PARTS)):
        raise errors.invalid(
            [Problem("$.include", f"there is no {part!r}; use {', '.join(PARTS)}") for part in unknown]
        )
    return parts


async def list_(request: Request) -> Reply:
    """List emails. Raises: ApiError."""
    reader = listing.Reader(request.query)
    asked = reader.listing()
    if reader.problems:
        raise errors.invalid(reader.problems)
    try:
        found = await index.find(request.services.pool, request.services.estimates, request.workspace, asked)
    except TimeoutError as error:
        what = f"the emails could not be listed within {index.WITHIN:.0f} s: narrow it down (created_after), or repeat it"
        raise errors.unavailable(what) from error
    except postgres.UNAVAILABLE as error:
        logger.warning("list_unavailable", error=repr(error))
        raise errors.unavailable("the database does not answer: emails cannot be listed right now") from error
    return Reply(found.emails, meta=found.meta)


async def cancel(request: Request) -> Reply:
    """Withdraw an email that still waits. Raises: ApiError."""
    await _change(request, changes.cancel)
    return Reply(Cancelled(request.path["id"]))


async def reschedule(request: Request) -> Reply:
    """Move a scheduled email to another time. Raises: ApiError."""
    try:
        wanted = times.parse(request.data.scheduled_at)
    except times.TimeError as error:
        raise errors.invalid([Problem("$.scheduled_at", str(error))]) from error

    def decide(state: fold.State, now: datetime) -> Change | None:
        decided = changes.reschedule(state, wanted, now)
        if problems := changes.time_problems(state, wanted, now):
            raise errors.invalid(problems)
        return decided

    return Reply(presentation.shown(EmailId(request.path["id"]), await _change(request, decide)))


async def _change(request: Request, decide: Callable[[fold.State, datetime], Change | None]) -> fold.State:
    """Append what `decide` says of the newest state, and return the state after it. Raises: ApiError."""
    workspace, email_id = WorkspaceId(request.workspace), EmailId(request.path["id"])
    event_id = identifiers.event_id()
    trace = identifiers.traceparent(request.headers.get("traceparent"))
    for _ in range(RACES):
        found = await reading.load_for_change(request.services, workspace, email_id)
        try:
            event = decide(found.state, datetime.now(UTC))
        except changes.TooLate as late:
            raise ApiError(errors.CONFLICT, str(late), [Problem("$.status", late.status)]) from late
        if event is None:
            return found.state
        item = Record(workspace, email_id, event_id, event, traceparent=trace)
        try:
            sequence = await request.services.publisher.append(
                item, guard=found.guard, within=submitting.APPEND_WITHIN
            )
        except publisher.Conflict:
            continue
        except publisher.Unconfirmed as error:
            raise errors.unavailable("the change is not confirmed: repeat the request") from error
        return fold.apply(found.state, event, event_id, sequence)
    raise errors.unavailable("the email changes faster than this request can be decided; repeat it")
