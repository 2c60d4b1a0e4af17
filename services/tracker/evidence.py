"""What one inbound message tells, before and after it is known which email it is about. Pure.

A signal's file reads the message into a Telling; the Telling says its events only for an email that signed
handles led to, and asks for a suppression only where the proof bears it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from services.tracker.addressing import Proof
from shared.events import signal
from shared.events.email import Email
from shared.mail import address
from shared.runtime.suppressions import Cause


class Suppress(NamedTuple):
    """An address that gets no more mail, and why."""

    email: str
    reason: Cause
    detail: str


class Case(NamedTuple):
    """The email a message is about, what proves it, when the message came, and where it is kept."""

    email: Email
    proof: Proof
    at: datetime
    raw_key: str

    def recipient(self, named: str) -> str | None:
        """Return the recipient of the email that this address is, in the email's own spelling, or None."""
        try:
            wanted = address.normalised(named)
        except address.AddressError:
            return None
        return next((one for one, _ in self.email.recipients() if address.normalised(one) == wanted), None)

    def is_by_sender(self, named: str) -> bool:
        """Say whether this is the address the email was from, and none it was sent to."""
        try:
            by = address.normalised(named)
        except address.AddressError:
            return False
        return by == address.normalised(self.email.from_.address) and self.recipient(named) is None

    def only_recipient(self) -> str | None:
        """Return the email's recipient where it has just one."""
        recipients = self.email.recipients()
        return recipients[0][0] if len(recipients) == 1 else None


class Said(NamedTuple):
    """An event to append, and what has to be suppressed before it may be seen."""

    event: signal.Signal
    suppress: Suppress | None = None


class Telling(Protocol):
    """What a message tells; `kind` names the signal in metrics, the rest leads to the email."""

    @property
    def kind(self) -> str:
        """The signal's name."""

    @property
    def envid(self) -> str:
        """The envelope id it gives back, or nothing."""

    @property
    def message_ids(self) -> Sequence[str]:
        """The Message-IDs it refers to, the likeliest first."""

    def said(self, case: Case) -> list[Said]:
        """Return what follows for this email; nothing where the message does not fit it."""
