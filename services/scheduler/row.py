"""A row: one email that waits, is out for an attempt, or is done, as the scheduler's table holds it.

Its place is (round, phase), as in the fold: what comes later in the email's life outranks what came
before it, in whatever order the records arrive.
"""

from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from shared.events.delivery import Reason, RecipientResult
from shared.events.email import Email

WAITING: Final = "waiting"
RELEASED: Final = "released"
DONE: Final = "done"
State = Literal["waiting", "released", "done"]


class Key(NamedTuple):
    """An email."""

    workspace: str
    email_id: str


class Lane(NamedTuple):
    """An account, as what waits for it queues up."""

    workspace: str
    account_id: str


class Payload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a release needs and the row's columns do not say: nobody reads back what may be trimmed."""

    email: Email
    results: tuple[RecipientResult, ...] = ()
    reason: Reason | None = None
    causation: str | None = None
    traceparent: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One email in the table.

    `sequence` is the last log sequence known. `proven`: whoever wrote that record had read all before
    it, so it may guard; a claim's outcome proves nothing, for somebody may have taken the claim over.
    `payload` is None where it was not loaded, and for whatever does not wait.
    """

    workspace: str
    email_id: str
    account_id: str
    state: State
    due_at: datetime
    sequence: int
    proven: bool = True
    bulk: bool = False
    round: int = 0
    attempts: int = 0
    revision: int = 0
    expires_at: datetime | None = None
    released_at: datetime | None = None
    reason: str | None = None
    payload: Payload | None = None

    @property
    def key(self) -> Key:
        """Return which email it is."""
        return Key(self.workspace, self.email_id)

    @property
    def lane(self) -> Lane:
        """Return whose turn it waits for."""
        return Lane(self.workspace, self.account_id)

    @property
    def place(self) -> tuple[int, int]:
        """Return how far the email has come: its round, and in it 0 asked for, 1 out, 2 deferred."""
        if self.state == WAITING:
            return (self.round, 2 if self.round else 0)
        return (self.round, 1)
