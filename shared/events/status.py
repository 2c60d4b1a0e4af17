"""Status words out of a folded state: raw `status`, `unified_status`, and why.

One implementation, asked by the projector, the gateway, the dispatcher and the scheduler alike; no
SQL and no handler decides a status of its own.
"""

from datetime import datetime, timedelta
from typing import Final

from shared.events import fold
from shared.events.delivery import Reason, RecipientResult

DEADLINE: Final = timedelta(hours=72)
LATEST_DEADLINE: Final = timedelta(days=5)
_FINAL_RANK: Final = {"sent": 5, "cancelled": 4, "failed": 3, "suppressed": 2, "unconfirmed": 1}
# What outranks what a send state can say: the strongest evidence first.
_EVIDENCE: Final = ("bounced", "replied", "read", "opened", "delivered")
_PHASES: Final = {fold.RELEASED: "queued", fold.CLAIMED: "sending", fold.DEFERRED: "deferred"}
STATUSES: Final = (
    "scheduled",
    "queued",
    "sending",
    "deferred",
    "sent",
    "failed",
    "cancelled",
    "suppressed",
    "unconfirmed",
)
UNIFIED_STATUSES: Final = (
    "bounced",
    "replied",
    "read",
    "opened",
    "delivered",
    "sent",
    "sending",
    "queued",
    "failed",
    "scheduled",
    "cancelled",
    "suppressed",
    "unconfirmed",
)


def raw(state: fold.State) -> str:
    """Return the raw send status: a final one if any is known, else where its latest round stands."""
    if state.finals:
        return "sent" if state.sent_at is not None else max(state.finals, key=_FINAL_RANK.__getitem__)
    round_, phase, _ = state.position
    if round_ <= 0 and state.release == "at":
        return "scheduled"
    return _PHASES.get(phase, "queued")


def unified(state: fold.State) -> str:
    """Return the one status that is told: evidence from `delivered` up first, then the raw status."""
    for kind in _EVIDENCE:
        if kind in state.signals:
            return kind
    status = raw(state)
    return "queued" if status == "deferred" else status


def reason(state: fold.State) -> Reason | None:
    """Return why the email is where it is, for every status that needs a why; a bounce comes first."""
    status = raw(state)
    if "bounced" in state.signals:
        return state.signals["bounced"].reason
    if status in state.finals:
        return state.finals[status].reason
    return state.reason if status == "deferred" else None


def is_final(state: fold.State) -> bool:
    """Say whether nothing will be sent any more."""
    return bool(state.finals)


def may_have_reached_anyone(state: fold.State) -> bool:
    """Say whether a next hop has the email for somebody, or may have it: an answer or its reader was lost."""
    open_claims = set(state.claimed) - set(state.concluded)
    return state.sent_at is not None or state.ambiguous or bool(open_claims)


def final_at(state: fold.State, kind: str) -> datetime | None:
    """Return when the final fact `kind` (failed, cancelled, ...) became true, if it did."""
    finish = state.finals.get(kind)
    return finish.at if finish else None


def first_at(state: fold.State, kind: str) -> datetime | None:
    """Return when the first signal `kind` (delivered, opened, bounced, ...) happened, if one did."""
    seen = state.signals.get(kind)
    return seen.at if seen else None


def next_attempt_at(state: fold.State) -> datetime | None:
    """Return when the next attempt is due, while one is waiting."""
    return state.next_attempt_at if raw(state) == "deferred" else None


def attempts(state: fold.State) -> int:
    """Return how many attempts were made: those that outcomes count, and each claim still without one."""
    return state.attempts + sum(round_ > state.outcome_round for round_ in state.claimed)


def deadline(state: fold.State) -> datetime | None:
    """Return after which moment it is not sent: as given, else 72 h after the first release."""
    if state.expires_at is not None:
        return state.expires_at
    return state.released_at + DEADLINE if state.released_at else None


def latest_round(state: fold.State) -> int:
    """Return the highest round any record has named; the next release or take-over is one more."""
    return max(state.release_round, state.claim_round, state.outcome_round)


def results(state: fold.State) -> tuple[RecipientResult, ...]:
    """Return the best known result of each recipient that has one, in a fixed order."""
    return tuple(state.recipients[address].result for address in sorted(state.recipients))


def waiting(state: fold.State) -> tuple[str, ...]:
    """Return the recipients no attempt has settled yet, in the email's order."""
    if state.email is None:
        return ()
    settled = {a for a, r in state.recipients.items() if r.result.status != "deferred"}
    return tuple(address for address, _ in state.email.recipients() if address not in settled)
