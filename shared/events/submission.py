"""The gateway's voice: what a client asked for."""

from datetime import datetime
from typing import ClassVar, Literal, get_args

import msgspec

from shared.events.base import Event
from shared.events.email import Email

Release = Literal["now", "turn", "at"]


class Requested(Event, frozen=True, kw_only=True):
    """A client asked for an email to be sent: at once, at its account's turn, or at a time.

    Evidence: the API call; its 202 was sent only after this record was on disk.
    """

    name: ClassVar[str] = "requested"
    voice: ClassVar[str] = "gateway"

    release: Release
    email: Email

    def subject_tail(self) -> str:
        """Return `requested.now`, `requested.turn` or `requested.at`."""
        return f"requested.{self.release}"

    @classmethod
    def subject_tails(cls) -> tuple[str, ...]:
        """Return the three ways of being released: consumers filter by them."""
        return tuple(f"{cls.name}.{release}" for release in get_args(Release))

    def without_content(self) -> "Requested":
        """Return the request without the email's body."""
        return msgspec.structs.replace(self, email=self.email.without_content())


class Rescheduled(Event, frozen=True, kw_only=True):
    """A client moved a scheduled email to another time; the highest revision holds.

    Evidence: the API call, guarded by the email's history.
    """

    name: ClassVar[str] = "rescheduled"
    voice: ClassVar[str] = "gateway"

    scheduled_at: datetime
    revision: int


class Cancelled(Event, frozen=True, kw_only=True):
    """A client withdrew an email that was still waiting.

    Evidence: the API call, guarded by the email's history: nothing was sent before it.
    """

    name: ClassVar[str] = "cancelled"
    voice: ClassVar[str] = "gateway"
