"""The dispatcher's voice: what became of an attempt to hand an email to the next hop."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from shared.events.base import AccountId, Event
from shared.events.email import Email


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an email is where it is, in the field's words and with a way out.

    `code` is the SMTP reply code as text ("550"), or our own word where no server spoke
    (`no_slot`, `expired`, `connection_failed`, ...).
    """

    code: str
    message: str
    category: str
    retryable: bool
    suggested_action: str
    enhanced_code: str | None = None


class RecipientResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one attempt did for one recipient; `smtp_code` is absent where no server answered."""

    address: str
    status: Literal["sent", "deferred", "failed", "suppressed"]
    smtp_code: int | None = None
    enhanced_code: str | None = None
    category: str | None = None
    text: str | None = None


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange of an SMTP conversation; `at_ms` is milliseconds since the attempt began."""

    at_ms: float
    verb: str
    reply: str = ""


class Conversation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The SMTP conversation of one attempt: verbs, replies, timings; no content, no secrets."""

    server: str
    tls: str | None = None
    reused: bool = False
    phase: str = ""
    lines: tuple[Line, ...] = ()


class Sending(Event, frozen=True, kw_only=True):
    """A dispatcher claimed the email for one attempt; nobody else may transmit in this round.

    Evidence: the append itself, guarded by the record that was consumed.
    """

    name: ClassVar[str] = "sending"
    voice: ClassVar[str] = "dispatcher"

    round: int
    attempt: int
    claim_id: str
    account_id: AccountId


class Outcome(Event, frozen=True, kw_only=True):
    """What an attempt came to. `claim_id` is absent when it was decided before any claim.

    `recipients` holds the result of every recipient this attempt was for.
    """

    round: int
    attempt: int = 0
    claim_id: str | None = None
    recipients: tuple[RecipientResult, ...] = ()
    conversation: Conversation | None = None


class Sent(Outcome, frozen=True, kw_only=True):
    """The next hop answered 250 for at least one recipient, and none waits any longer.

    Evidence: the reply to the final dot.
    """

    name: ClassVar[str] = "sent"
    voice: ClassVar[str] = "dispatcher"


class Deferred(Outcome, frozen=True, kw_only=True):
    """At least one recipient waits for a later attempt: a 4xx, the network, a limit, no free slot.

    Evidence: the server's reply, or our own limit.

    `attempts` counts the claims made so far; `results` are the results of all attempts so far, this one
    included; `ambiguous` says that the answer to the final dot was lost: the next hop may have it already.
    """

    name: ClassVar[str] = "deferred"
    voice: ClassVar[str] = "dispatcher"

    reason: Reason
    next_attempt_at: datetime
    expires_at: datetime
    attempts: int = 0
    ambiguous: bool = False
    results: tuple[RecipientResult, ...] = ()
    email: Email | None = None

    def without_content(self) -> "Deferred":
        """Return the deferral without the email: the archive has it in `requested`."""
        return msgspec.structs.replace(self, email=None)


class Failed(Outcome, frozen=True, kw_only=True):
    """No recipient took the email and none will: a 5xx, or we gave up.

    Evidence: the server's reply, or the deadline.
    """

    name: ClassVar[str] = "failed"
    voice: ClassVar[str] = "dispatcher"

    reason: Reason


class Suppressed(Outcome, frozen=True, kw_only=True):
    """Every recipient is on the workspace's suppression list; nothing was sent.

    Evidence: the list, read at sending.
    """

    name: ClassVar[str] = "suppressed"
    voice: ClassVar[str] = "dispatcher"

    reason: Reason


class Unconfirmed(Outcome, frozen=True, kw_only=True):
    """The answer to the final dot was lost and the account wants no second try.

    Evidence: a connection that ended between the final dot and its reply, or a claim whose holder died.
    """

    name: ClassVar[str] = "unconfirmed"
    voice: ClassVar[str] = "dispatcher"

    reason: Reason
