"""How a repeat is recognised: the email its Idempotency-Key names, what is remembered of it, and where.

A row outlives the log's hot window, and the log knows what no row has yet; one of them has the first.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from prometheus_client import Counter

from services.gateway import errors, identifiers
from services.gateway.emails import reading, store
from services.gateway.errors import ApiError, Problem
from services.gateway.request import Request, Services
from shared.events import email
from shared.events.base import EmailId, WorkspaceId
from shared.runtime import postgres
from shared.runtime.log import BrokerUnavailable

REPLAYED: Final = Counter(
    "sendlog_emails_replayed_total", "Repeats that were answered with the first one's answer"
)
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
    return Claim(workspace, identifiers.keyed(workspace, key), request_hash(value))


def request_hash(value: Any) -> str:
    """Return the digest of a decoded body: alike for bodies that say the same."""
    return identifiers.digest(_canonical(value))


def require_same(about: Claim, first: First) -> None:
    """Count a repeat, or refuse a key that was used for something else. Raises: ApiError 409."""
    if first.email.request_hash != about.request_hash:
        raise ApiError(
            errors.IDEMPOTENCY_MISMATCH,
            "this Idempotency-Key was used for another request; use a key for one request",
        )
    REPLAYED.inc()


async def met(services: Services, about: Claim) -> First:
    """Return the request that came first, which the log says is there. Raises: ApiError 503."""
    first = await first_in_log(services, about) or await first_in_row(services, about)
    if first is None:
        raise errors.unavailable(UNCONFIRMED)
    return first


async def first_in_row(services: Services, about: Claim) -> First | None:
    """Look the email up in Postgres; one that does not answer at once is not waited for."""
    try:
        question = store.find_state(services.pool, about.workspace, about.email_id)
        state = await store.within(LOOKUP_WITHIN, question)
    except (*postgres.UNAVAILABLE, asyncpg.PostgresError):
        return None
    if state is None or state.email is None or state.created_at is None:
        return None
    return First(state.release, state.email, state.created_at)


async def first_in_log(services: Services, about: Claim) -> First | None:
    """Look the request up in the log. Raises: ApiError 503."""
    try:
        event = reading.request_in(await services.log.history(about.workspace, about.email_id, within=1.0))
    except BrokerUnavailable as error:
        raise errors.unavailable(UNCONFIRMED) from error
    return First(event.release, event.email, event.occurred_at) if event else None
