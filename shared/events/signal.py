"""The tracker's voice: what came back about an email after it had left."""

from typing import ClassVar, Literal

from shared.events.base import Event
from shared.events.delivery import Reason


class Signal(Event, frozen=True, kw_only=True):
    """Something that happened to an email out in the world.

    `recipient` is who it is about, absent where the evidence names nobody: several recipients share a body.
    """

    voice: ClassVar[str] = "tracker"

    recipient: str | None = None


class Report(Signal, frozen=True, kw_only=True):
    """A signal that came as a message; `raw_key` is where the content store has it, byte by byte."""

    raw_key: str | None = None


class Delivered(Report, frozen=True, kw_only=True):
    """The email was delivered to the recipient, handed on to a system without reports, or to a list's members.

    Evidence: a delivery status notification with this action (RFC 3464, 2.3.3).
    """

    name: ClassVar[str] = "delivered"

    action: Literal["delivered", "relayed", "expanded"] = "delivered"
    reporting_mta: str | None = None


class Delayed(Report, frozen=True, kw_only=True):
    """A server on the way still tries to deliver.

    Evidence: a delivery status notification with the action delayed, or a warning in words.
    """

    name: ClassVar[str] = "delayed"

    reason: Reason


class Bounced(Report, frozen=True, kw_only=True):
    """The email was taken by the next hop and could not be delivered to the recipient after all.

    Evidence: a report on a recipient of this very email, known by the signed address it reached, ENVID or
    Message-ID. `kind` is hard where the address does not exist; only that suppresses it, and only by the signed
    address; it was suppressed before this was said.
    """

    name: ClassVar[str] = "bounced"

    kind: Literal["hard", "soft", "unknown"]
    reason: Reason
    diagnostic: str | None = None
    reporting_mta: str | None = None


class Hit(Signal, frozen=True, kw_only=True):
    """A request for something in the email. `machine` says that no person made it, `reason` how we know."""

    ip_address: str | None = None
    user_agent: str | None = None
    machine: bool = False
    reason: str | None = None


class Opened(Hit, frozen=True, kw_only=True):
    """The email's pixel was fetched.

    Evidence: a request with our signed token.
    """

    name: ClassVar[str] = "opened"


class Clicked(Hit, frozen=True, kw_only=True):
    """A link of the email was followed.

    Evidence: a request with our signed token, which holds the target.
    """

    name: ClassVar[str] = "clicked"

    url: str


class Read(Report, frozen=True, kw_only=True):
    """The recipient's mail client says that the email was displayed.

    Evidence: a disposition notification `displayed` (RFC 8098) for this email.
    """

    name: ClassVar[str] = "read"

    disposition: str = "displayed"


class Replied(Report, frozen=True, kw_only=True):
    """A person answered the email.

    Evidence: a message that refers to our signed Message-ID, or came to our signed address, and is no automatic one.
    """

    name: ClassVar[str] = "replied"

    from_address: str | None = None
    subject: str | None = None
    snippet: str | None = None
    message_id: str | None = None


class AutoReplied(Report, frozen=True, kw_only=True):
    """A machine answered the email: out of office, a receipt of a ticket system. It moves no status.

    Evidence: as for a reply, and the marks of an automatic one (RFC 3834).
    """

    name: ClassVar[str] = "auto_replied"

    from_address: str | None = None
    subject: str | None = None
    reason: str | None = None


class Complained(Report, frozen=True, kw_only=True):
    """The recipient called the email spam.

    Evidence: an abuse report (RFC 5965) that has our email in it. Where the signed envelope sender proves that, the
    address was suppressed before this was said.
    """

    name: ClassVar[str] = "complained"

    feedback_type: str = "abuse"


class Unsubscribed(Report, frozen=True, kw_only=True):
    """The recipient wants no more mail of this kind.

    Evidence: a request with our signed token (RFC 8058), or a message to our signed unsubscribe address.
    """

    name: ClassVar[str] = "unsubscribed"

    via: Literal["one_click", "page", "mail"] = "one_click"
