"""An email's story out of its records: the timeline and the attempts with their SMTP conversations. Pure.

Records may come twice (from the log and from the archive) and in any order; each is told once.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from services.gateway.emails import presentation
from shared.events import delivery
from shared.events.record import Record

# The email itself is shown above its timeline; a conversation belongs to its attempt.
_NOT_TOLD: Final = ("occurred_at", "email", "conversation", "results")


def once(records: Iterable[Record]) -> list[Record]:
    """Return each record once, in the order things happened (the log's order breaks ties); of repeats the earliest."""
    known: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: (record.event.occurred_at, record.sequence)):
        known.setdefault(record.event_id, record)
    return list(known.values())


def events(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the timeline: what happened, when, and what is worth knowing about it."""
    return [
        {
            "id": record.event_id,
            "type": f"email.{record.event.name}",
            "occurred_at": record.event.occurred_at,
            "data": _told(record),
        }
        for record in once(records)
    ]


def _told(record: Record) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(record.event.without_content())
    return {name: value for name, value in told.items() if name not in _NOT_TOLD}


def attempts(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return every attempt, oldest first; one that has no outcome yet is shown as being under way."""
    claims: dict[str, delivery.Sending] = {}
    outcomes: dict[str, delivery.Outcome] = {}
    for record in once(records):
        event = record.event
        if isinstance(event, delivery.Sending):
            claims.setdefault(event.claim_id, event)
        elif isinstance(event, delivery.Outcome) and event.claim_id is not None:
            outcomes.setdefault(event.claim_id, event)
    shown = [_attempt(claim, outcomes.get(claim_id)) for claim_id, claim in claims.items()]
    return sorted(shown, key=lambda attempt: (attempt["round"], attempt["started_at"]))


def _attempt(claim: delivery.Sending, outcome: delivery.Outcome | None) -> dict[str, Any]:
    why: delivery.Reason | None = getattr(outcome, "reason", None)
    return {
        "attempt": claim.attempt,
        "round": claim.round,
        "started_at": claim.occurred_at,
        "finished_at": outcome.occurred_at if outcome else None,
        "outcome": outcome.name if outcome else None,
        "reason": presentation.status_reason(why),
        "next_attempt_at": getattr(outcome, "next_attempt_at", None),
        "smtp_account_id": claim.account_id,
        "recipients": [_result(result) for result in outcome.recipients] if outcome else [],
        "conversation": _conversation(outcome.conversation if outcome else None),
    }


def _result(result: delivery.RecipientResult) -> dict[str, Any]:
    return {
        "address": result.address,
        "status": result.status,
        "smtp_code": result.smtp_code,
        "enhanced_code": result.enhanced_code,
        "reason": result.text or result.category,
    }


def _conversation(spoken: delivery.Conversation | None) -> dict[str, Any] | None:
    if spoken is None:
        return None
    return {
        "server": spoken.server,
        "tls": spoken.tls,
        "reused": spoken.reused,
        "phase": spoken.phase,
        "lines": [{"at_ms": line.at_ms, "verb": line.verb, "reply": line.reply} for line in spoken.lines],
    }
