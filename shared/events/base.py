"""The event base: every fact about an email is one subclass, registered by its wire name.

The wire name and version are written out in the class, never derived from it: a renamed class must
not rename what is already in the log.
"""

from datetime import datetime
from typing import ClassVar, NewType

import msgspec

WorkspaceId = NewType("WorkspaceId", str)
EmailId = NewType("EmailId", str)
EventId = NewType("EventId", str)
AccountId = NewType("AccountId", str)

REGISTRY: dict[str, type["Event"]] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fact about one email; `occurred_at` is when it became true (aware UTC)."""

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    voice: ClassVar[str] = ""

    occurred_at: datetime

    def __init_subclass__(cls) -> None:
        """Register the class under its wire name."""
        super().__init_subclass__()
        if cls.name:
            REGISTRY[cls.type_name()] = cls

    @classmethod
    def type_name(cls) -> str:
        """Return the CloudEvents type, such as `sendlog.email.requested.v1`."""
        return f"sendlog.email.{cls.name}.v{cls.version}"

    def subject_tail(self) -> str:
        """Return the last part of the NATS subject, after the email id."""
        return self.name

    @classmethod
    def subject_tails(cls) -> tuple[str, ...]:
        """Return every last part that records of this class may have."""
        return (cls.name,)

    def without_content(self) -> "Event":
        """Return the event as the archive keeps it: without the email's content."""
        return self


class Unknown(Event, frozen=True, kw_only=True):
    """A record this version cannot read: it takes no part in the fold, but its sequence is a guard's."""
