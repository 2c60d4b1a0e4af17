"""From an SMTP outcome to the event it is: one result per recipient, and the one word for all. Pure.

A refusal at AUTH, and whatever happens before MAIL, is the account's fault: the email waits and no
attempt is burnt. What happens after the final dot without an answer is decided by the account's policy.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from services.dispatcher import decisions, reasons
from services.dispatcher.outcome import Outcome, RecipientReply
from shared.events import delivery
from shared.events.delivery import Reason, RecipientResult
from shared.mail import nonexistence, rfc3463

_ACCOUNT_PHASES = frozenset({"resolve", "connect", "banner", "tls", "ehlo", "auth"})


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim in force: whose attempt an outcome belongs to."""

    claim_id: str
    attempt: int
    stand: decisions.Stand
    at_most_once: bool


def is_accounts_fault(outcome: Outcome) -> bool:
    """Say whether the session could not be opened or logged in, whoever the email was for."""
    if outcome.phase in _ACCOUNT_PHASES:
        return True
    final = outcome.final
    return outcome.phase == "mail" and final is not None and _category(outcome) == "authentication"


def _category(outcome: Outcome) -> str:
    final = outcome.final
    if final is None:
        return ""
    return rfc3463.classify(final.code, final.enhanced, final.text, outcome.phase).category


def conclude(
    claim: Claim, outcome: Outcome, now: datetime, jitter: float, account_wait: timedelta
) -> delivery.Outcome:
    """Return the event this attempt comes to. `jitter` is within [-1, 1].

    `account_wait` is how long to leave the account alone when the fault is its own: no attempt was
    made for this email, so the schedule of attempts says nothing about it.
    """
    waits = is_accounts_fault(outcome)
    # By the client's spelling: the envelope may have had an IDN domain in A-labels.
    named = zip(outcome.replies, claim.stand.waiting(), strict=True)
    results = tuple(_result(reply, address, outcome, waits) for reply, address in named)
    common: dict[str, Any] = {
        "occurred_at": now,
        "round": claim.stand.round,
        "attempt": claim.attempt,
        "claim_id": claim.claim_id,
        "recipients": (*results, *claim.stand.suppressed),
        "conversation": outcome.conversation,
    }
    if outcome.ambiguous and claim.at_most_once:
        return delivery.Unconfirmed(**common, reason=reasons.UNCONFIRMED)
    if any(result.status == "deferred" for result in results):
        attempts = claim.attempt - 1 if waits else claim.attempt
        at = now + account_wait if waits else decisions.next_attempt(now, attempts, jitter, _hint(outcome))
        return _deferred(claim, outcome, common, results, attempts, at)
    earlier = claim.stand.results
    if any(result.status == "sent" for result in (*results, *earlier)):
        return delivery.Sent(**common)
    return delivery.Failed(**common, reason=_reason(outcome, results, "failed"))


def gone(claim: Claim, outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """Return the recipients whose refusal proves that they do not exist, each with what the server said.

    After DATA one reply speaks for all recipients, so there it proves something of a lone one only.
    """
    phases = ("rcpt", "data", "body", "final") if len(outcome.replies) == 1 else ("rcpt",)
    named = zip(outcome.replies, claim.stand.waiting(), strict=True)
    return tuple(
        (address, f"{reply.code} {reply.text}".strip())
        for reply, address in named
        if reply.phase in phases and nonexistence.is_proven(reply.code, reply.enhanced, reply.text)
    )


def _deferred(
    claim: Claim,
    outcome: Outcome,
    common: dict[str, Any],
    results: tuple[RecipientResult, ...],
    attempts: int,
    at: datetime,
) -> delivery.Deferred:
    stand = claim.stand
    now: datetime = common["occurred_at"]
    return delivery.Deferred(
        **(common | {"attempt": attempts}),
        reason=_reason(outcome, results, "deferred"),
        next_attempt_at=min(at, max(stand.expires_at, now)),
        expires_at=stand.expires_at,
        attempts=attempts,
        ambiguous=outcome.ambiguous or stand.after_claim is not None,
        results=merge(stand.results, (*results, *stand.suppressed)),
        email=stand.email,
    )


def _hint(outcome: Outcome) -> timedelta | None:
    hints = (rfc3463.retry_after(reply.text) for reply in outcome.replies if 400 <= reply.code < 500)
    return max((hint for hint in hints if hint), default=None)


def merge(
    earlier: tuple[RecipientResult, ...], later: tuple[RecipientResult, ...]
) -> tuple[RecipientResult, ...]:
    """Return one result per recipient: the later one, unless the earlier was settled."""
    merged = {result.address: result for result in earlier}
    for result in later:
        known = merged.get(result.address)
        if known is None or known.status == "deferred":
            merged[result.address] = result
    return tuple(merged.values())


def _result(reply: RecipientReply, address: str, outcome: Outcome, accounts_fault: bool) -> RecipientResult:
    if 200 <= reply.code < 300:
        return RecipientResult(
            address=address,
            status="sent",
            smtp_code=reply.code,
            enhanced_code=reply.enhanced,
            text=reply.text or None,
        )
    reason = reasons.of_reply(reply) if reply.code else reasons.of_no_reply(outcome)
    final = 500 <= reply.code < 600 if reply.code else reasons.is_final_kind(outcome)
    return RecipientResult(
        address=address,
        status="failed" if final and not accounts_fault else "deferred",
        smtp_code=reply.code or None,
        enhanced_code=reply.enhanced,
        category=reason.category,
        text=reply.text or reason.message,
    )


def _reason(outcome: Outcome, results: tuple[RecipientResult, ...], word: str) -> Reason:
    """Return the reason of the first recipient with this result."""
    for reply, result in zip(outcome.replies, results, strict=True):
        if result.status == word:
            return reasons.of_reply(reply) if reply.code else reasons.of_no_reply(outcome)
    return reasons.of_no_reply(outcome)
