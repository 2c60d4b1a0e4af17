"""One email's state, never behind its caller: the log's records first, then the row, folded together.

In this order nothing falls between the two: what is trimmed from the log before we look is archived by
then. "There is no such email" is said only when both were asked.
"""

import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg
import msgspec
import structlog

from services.gateway import errors
from services.gateway.emails import store
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Services
from shared.events import email, fold, submission
from shared.events.record import Record
from shared.runtime import content, message, postgres
from shared.runtime.log import BrokerUnavailable

logger = structlog.get_logger(__name__)
LOG_WITHIN = 1.0
ROW_WITHIN = 2.0
EXPIRED: Final = "content_expired"
LOST: Final = "content_lost"
_GONE: Final = {
    EXPIRED: "the email's content has expired: its history is kept, what it said is not",
    LOST: "the email's content is lost: the content store does not have it any more, or it is damaged",
}


class ContentGone(Exception):
    """What the email said is not there any more; `reason` is EXPIRED, or LOST where it should be."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Reading(NamedTuple):
    """An email as it stands. `guard` is the last sequence the log has of it (0: nothing any more)."""

    state: fold.State
    records: list[Record]
    guard: int


def request_in(records: Sequence[Record]) -> submission.Requested | None:
    """Return the request among the records; with it they are complete, for the log is trimmed from below."""
    for record in records:
        if isinstance(record.event, submission.Requested):
            return record.event
    return None


def combine(history: Sequence[Record], row: store.Row | None) -> Reading | None:
    """Fold what the row does not have yet into it; None when nobody knows of such a request. Pure."""
    state = row.state if row else fold.State()
    archived = row.archived if row else frozenset()
    fold.fold((record for record in history if record.event_id not in archived), state)
    if state.email is None or state.created_at is None:
        return None
    records = [*(row.records if row else ()), *history]
    return Reading(state, records, max((record.sequence for record in history), default=0))


async def load(services: Services, workspace: str, email_id: str, *, events: bool = False) -> Reading:
    """Return the email, with all its records if `events`. Raises: ApiError 404 or 503."""
    history = await _history(services, workspace, email_id)
    try:
        question = store.find_with_events if events else store.find
        row = await store.within(ROW_WITHIN, question(services.pool, workspace, email_id))
    except postgres.UNAVAILABLE as error:
        logger.warning("row_unavailable", email_id=email_id, error=repr(error))
        return _from_log_alone(history)
    reading = combine(history or [], row)
    if reading is None and history is None:
        raise errors.unavailable("the log does not answer, and the history does not know this email yet")
    if reading is None:
        raise errors.not_found("email")
    return reading


async def load_for_change(services: Services, workspace: str, email_id: str) -> Reading:
    """Return the email as its next record must see it: from the log, and the row only if that is trimmed.

    Raises: ApiError 404 or 503.
    """
    history = await _history(services, workspace, email_id)
    if history is None:
        raise errors.unavailable("the log does not answer; nothing was changed")
    if request_in(history):
        return _from_log_alone(history)
    try:
        row = await store.within(ROW_WITHIN, store.find(services.pool, workspace, email_id))
    except postgres.UNAVAILABLE:
        return _from_log_alone(history)
    reading = combine(history, row)
    if reading is None:
        raise errors.not_found("email")
    return reading


async def _history(services: Services, workspace: str, email_id: str) -> list[Record] | None:
    try:
        return await services.log.history(workspace, email_id, within=LOG_WITHIN)
    except BrokerUnavailable as error:
        logger.warning("history_unavailable", email_id=email_id, error=str(error))
        return None


def _from_log_alone(history: list[Record] | None) -> Reading:
    reading = combine(history, None) if history and request_in(history) else None
    if reading is None:
        raise errors.unavailable(
            "the database does not answer, and the log alone does not tell about this email"
        )
    return reading


async def load_content(
    services: Services, workspace: str, email_id: str, records: Sequence[Record]
) -> email.Content:
    """Return the bodies: from the log while it has them, else from the archive.

    Raises: ContentGone; ApiError 503.
    """
    request = request_in(records)
    try:
        body = request.email.body if request else None
        if body is None:
            body = await store.within(ROW_WITHIN, store.find_content(services.pool, workspace, email_id))
        return await _opened(services.content, body)
    except (*postgres.UNAVAILABLE, content.ContentUnavailable) as error:
        logger.warning("content_unavailable", email_id=email_id, error=repr(error))
        raise errors.unavailable("the email's content cannot be read right now") from error
    except (content.ContentMissing, msgspec.MsgspecError, zlib.error, ValueError) as error:
        logger.error("content_lost", email_id=email_id, error=repr(error))
        raise ContentGone(LOST) from error


async def _opened(contents: content.ContentStore, body: email.Body | None) -> email.Content:
    if body is None:
        raise ContentGone(EXPIRED)
    if body.content is not None:
        return body.content
    packed = body.packed if body.key is None else await contents.get(body.key)
    return email.unpack(packed) if packed else email.Content()


async def require_files(services: Services, workspace: str, email_id: str, sent: email.Email) -> None:
    """See that every file of the email is there, without reading it. Raises: ContentGone; ApiError 503."""
    try:
        await message.check_files(sent, services.content)
    except message.ContentLost as error:
        raise await file_gone(services, workspace, email_id, str(error)) from error
    except content.ContentUnavailable as error:
        logger.warning("content_unavailable", email_id=email_id, error=repr(error))
        raise errors.unavailable("the email's attachments cannot be read right now") from error


async def file_gone(services: Services, workspace: str, email_id: str, what: str) -> ContentGone:
    """Return why a file is not there: it expired with its email's content, or it should be there."""
    try:
        if await store.within(ROW_WITHIN, store.has_expired(services.pool, workspace, email_id)):
            return ContentGone(EXPIRED)
    except (*postgres.UNAVAILABLE, asyncpg.PostgresError) as error:
        logger.warning("content_unavailable", email_id=email_id, error=repr(error))
    logger.error("content_lost", email_id=email_id, error=what)
    return ContentGone(LOST)


def gone(error: ContentGone) -> ApiError:
    """Return the answer when what was asked for needs content that is not there any more."""
    return ApiError(errors.CONFLICT, _GONE[error.reason], [Problem("$.content", error.reason)])
