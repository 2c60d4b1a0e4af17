"""What an email adds to the statistics, and where: by quarter hour, account and tag. Pure.

Emails are counted out of their state, each at the first moment of what happened, so what a batch changes is the
difference between before and after; events are counted as they are archived, which each is once. Both hang on what
the request says of account and tags: before it is known, nothing is counted, and then all that came before it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from services.projector import rows
from shared.events import email, fold, record, signal, status

EVENTS: Final = (
    "delivered",
    "delayed",
    "bounced",
    "hard_bounced",
    "soft_bounced",
    "opened",
    "clicked",
    "read",
    "replied",
    "auto_replied",
    "complained",
    "unsubscribed",
    "machine_opened",
    "machine_clicked",
)
EMAILS: Final = (
    "accepted",
    "sent",
    "failed",
    "suppressed",
    "delivered",
    "bounced",
    "opened",
    "clicked",
    "read",
    "replied",
    "complained",
    "unsubscribed",
)
COLUMNS: Final = (*EVENTS, *(f"emails_{name}" for name in EMAILS))
SECONDS: Final = 900
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EVENT: Final = {name: place for place, name in enumerate(EVENTS)}
_EMAIL: Final = {name: len(EVENTS) + place for place, name in enumerate(EMAILS)}
_ACCEPTED, _SENT = _EMAIL["accepted"], _EMAIL["sent"]
_ENDED_AS: Final = ("failed", "suppressed")

Fact = tuple[int, datetime]  # the column, and when


class Key(NamedTuple):
    """A row of the table, by its primary key; `quarter` is the number of quarter hours since 1970."""

    workspace: str
    tag: str
    account_id: str
    quarter: int

    @property
    def at(self) -> datetime:
        """Return when the quarter hour began."""
        return _EPOCH + timedelta(seconds=SECONDS * self.quarter)


def of_state(state: fold.State) -> list[Fact]:
    """Return what an email counts as, each with its first moment; nothing before its request is known."""
    if state.email is None or state.created_at is None:
        return []
    found = [(_ACCEPTED, state.created_at)]
    if state.sent_at is not None:
        found.append((_SENT, state.sent_at))
    elif state.finals and (ended_as := status.raw(state)) in _ENDED_AS:
        found.append((_EMAIL[ended_as], state.finals[ended_as].at))
    for kind, first in state.signals.items():
        place = _EMAIL.get(kind)
        if place is not None:
            found.append((place, first.at))
    return found


def of_events(records: Iterable[record.Record]) -> Iterator[Fact]:
    """Yield what newly archived events count as."""
    for item in records:
        event = item.event
        if not isinstance(event, signal.Signal):
            continue
        name = event.name
        if isinstance(event, signal.Hit) and event.machine:
            name = f"machine_{name}"
        yield _EVENT[name], event.occurred_at
        if isinstance(event, signal.Bounced) and event.kind != "unknown":
            yield _EVENT[f"{event.kind}_bounced"], event.occurred_at


class Counts:
    """A sum of facts, by the rows they belong to."""

    def __init__(self) -> None:
        self._sums: dict[Key, list[int]] = {}
        self._alike: dict[tuple[str, str, tuple[str, ...], int], list[list[int]]] = {}

    def note(self, workspace: str, sent: email.Email | None, facts: Iterable[Fact], times: int = 1) -> None:
        """Add facts about an email (or take them away) in every row that counts it."""
        if sent is None:
            return
        for place, at in facts:
            quarter = int(at.timestamp() // SECONDS)
            for sums in self._counting(workspace, sent, quarter):
                sums[place] += times

    def _counting(self, workspace: str, sent: email.Email, quarter: int) -> list[list[int]]:
        """Return the sums that count such an email; most of a batch have the same."""
        like = (workspace, sent.account_id, sent.tags, quarter)
        found = self._alike.get(like)
        if found is None:
            tags = ("", *{rows.clean(tag) for tag in sent.tags if tag}) if sent.tags else ("",)
            accounts = ("", rows.clean(sent.account_id))
            found = self._alike[like] = [
                self._row(Key(workspace, tag, account, quarter)) for tag in tags for account in accounts
            ]
        return found

    def _row(self, key: Key) -> list[int]:
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = [0] * len(COLUMNS)
        return sums

    def subtract(self, key: Key, sums: Iterable[int]) -> None:
        """Take a whole row away."""
        known = self._row(key)
        for place, count in enumerate(sums):
            known[place] -= count

    def changes(self) -> list[tuple[Key, list[int]]]:
        """Return the rows that change, in the order in which everybody writes them."""
        return sorted((key, sums) for key, sums in self._sums.items() if any(sums))
