"""The events a dispatcher says from where it stands: the claim, and what needs no attempt. Pure."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from services.dispatcher import reasons
from services.dispatcher.decisions import Stand
from shared.events import delivery as said
from shared.events.base import AccountId
from shared.events.delivery import Reason


def sending(stand: Stand, claim_id: str, now: datetime) -> said.Sending:
    """Return the claim of the next attempt."""
    return said.Sending(
        occurred_at=now,
        round=stand.round,
        attempt=stand.attempts + 1,
        claim_id=claim_id,
        account_id=AccountId(stand.email.account_id),
    )


def failed(stand: Stand, reason: Reason, now: datetime) -> said.Outcome:
    """Return `failed`, or `sent` where an earlier attempt has reached somebody."""
    results = tuple(
        said.RecipientResult(address=a, status="failed", category=reason.category, text=reason.message)
        for a in stand.waiting()
    )
    common: dict[str, Any] = {
        "occurred_at": now,
        "round": stand.round,
        "attempt": stand.attempts,
        "recipients": (*results, *stand.suppressed),
    }
    if any(result.status == "sent" for result in stand.results):
        return said.Sent(**common)
    return said.Failed(**common, reason=reason)


def suppressed(stand: Stand, now: datetime) -> said.Outcome:
    """Return `suppressed`, or what an earlier attempt came to for others: nobody waits any longer."""
    common: dict[str, Any] = {
        "occurred_at": now,
        "round": stand.round,
        "attempt": stand.attempts,
        "recipients": stand.suppressed,
    }
    if any(result.status == "sent" for result in stand.results):
        return said.Sent(**common)
    refused = next((result for result in stand.results if result.status == "failed"), None)
    if refused is not None:
        return said.Failed(**common, reason=reasons.of_result(refused))
    return said.Suppressed(**common, reason=reasons.SUPPRESSED)


def unconfirmed(stand: Stand, reason: Reason, now: datetime) -> said.Unconfirmed:
    """Return that nobody knows whether it was sent, and nobody will try."""
    return said.Unconfirmed(occurred_at=now, round=stand.round, attempt=stand.attempts, reason=reason)


def deferred(stand: Stand, reason: Reason, wait: timedelta, now: datetime) -> said.Deferred:
    """Return that it waits, no attempt burnt. Where that takes a while, the reason says until when."""
    at = min(now + wait, max(stand.expires_at, now))
    return said.Deferred(
        occurred_at=now,
        round=stand.round,
        attempt=stand.attempts,
        reason=_with_time(reason, at) if wait else reason,
        next_attempt_at=at,
        expires_at=stand.expires_at,
        attempts=stand.attempts,
        ambiguous=stand.after_claim is not None,
        results=stand.results,
        email=stand.email,
    )


def _with_time(reason: Reason, at: datetime) -> Reason:
    """Say when it goes on, never earlier than it does."""
    whole = at.replace(microsecond=0) + timedelta(seconds=bool(at.microsecond))
    message = f"{reason.message}; it goes on at {whole:%Y-%m-%dT%H:%M:%SZ}"
    return msgspec.structs.replace(reason, message=message)
