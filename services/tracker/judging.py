"""From a hit to its event: the recipient and the verdict. Pure."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from services.tracker import machine
from services.tracker.hit import Hit
from shared.events import fold, signal

Clicks = Iterable[tuple[datetime, str]]


class Known(msgspec.Struct, frozen=True, gc=False):
    """What a verdict needs of an email. `is_under_way`: it has not been sent, and we would know."""

    recipients: tuple[str, ...]
    sent_at: datetime | None
    is_under_way: bool

    @property
    def is_final(self) -> bool:
        """Say whether nothing later changes this."""
        return self.sent_at is not None

    def recipient(self, place: int | None) -> str | None:
        """Return the recipient a token names; the only one where there is one."""
        if place is not None and place < len(self.recipients):
            return self.recipients[place]
        return self.recipients[0] if len(self.recipients) == 1 else None


def known(state: fold.State) -> Known | None:
    """Return what a state tells, or None where it does not hold the email."""
    if state.email is None:
        return None
    addresses = tuple(address for address, _ in state.email.recipients())
    # Where the next hop's answer was lost it may have been sent, and whoever opens it shows that it was.
    is_unsure = state.ambiguous or "unconfirmed" in state.finals
    return Known(addresses, state.sent_at, state.sent_at is None and not is_unsure)


def reason(hit: Hit, email: Known, clicks: Clicks) -> str | None:
    """Return why a machine made this hit, or None: a person did."""
    found = hit.machine or machine.by_time(hit.at, email.sent_at, email.is_under_way)
    if found is None and hit.kind == "click":
        return machine.by_links(clicks, hit.at, hit.url)
    return found


def event(hit: Hit, email: Known, why: str | None) -> signal.Signal:
    """Return what is said of the hit; `why` is the reason to call it a machine's."""
    recipient = email.recipient(hit.place)
    if hit.kind == "one_click" or hit.kind == "page":
        return signal.Unsubscribed(occurred_at=hit.at, recipient=recipient, via=hit.kind)
    address, agent = hit.ip_address or None, hit.user_agent or None
    if hit.kind == "click":
        return signal.Clicked(
            occurred_at=hit.at,
            recipient=recipient,
            ip_address=address,
            user_agent=agent,
            machine=why is not None,
            reason=why,
            url=hit.url,
        )
    return signal.Opened(
        occurred_at=hit.at,
        recipient=recipient,
        ip_address=address,
        user_agent=agent,
        machine=why is not None,
        reason=why,
    )
