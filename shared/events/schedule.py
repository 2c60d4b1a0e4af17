"""The scheduler's voice: time and turns."""

from datetime import datetime
from typing import ClassVar

import msgspec

from shared.events.base import Event
from shared.events.delivery import Reason, RecipientResult
from shared.events.email import Email


class Released(Event, frozen=True, kw_only=True):
    """An email's time or turn has come: its first release or a retry.

    Evidence: the scheduler's clock and the account's credit, guarded by the email's history.

    `round` is one more than every round before it; `attempts` counts the claims made so far.
    """

    name: ClassVar[str] = "released"
    voice: ClassVar[str] = "scheduler"

    round: int
    attempts: int = 0
    expires_at: datetime
    results: tuple[RecipientResult, ...] = ()
    email: Email | None = None

    def without_content(self) -> "Released":
        """Return the release without the email: the archive has it in `requested`."""
        return msgspec.structs.replace(self, email=None)


class Expired(Event, frozen=True, kw_only=True):
    """The deadline passed while the email was waiting; it will not be tried again.

    Evidence: the scheduler's clock, guarded by the email's history.
    """

    name: ClassVar[str] = "expired"
    voice: ClassVar[str] = "scheduler"

    round: int
    reason: Reason
