"""What a recipient's address asks the mailbox to do wrong: `550+anything@…` is refused, and so on.

The words are those of the fault-injecting servers that mail software is tested with, so that a person can
see every outcome of a send from the outside.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Fate(Enum):
    """What happens to a message whose recipient was accepted."""

    DELIVERED = auto()
    # The connection goes away in the middle of DATA; nothing is kept.
    DROPPED = auto()
    # Kept, and then the connection goes away instead of the 250: the sender cannot know.
    KEPT_THEN_DROPPED = auto()
    KEPT_SLOWLY = auto()
    # Kept, and never answered.
    KEPT_SILENTLY = auto()


@dataclass(frozen=True)
class Refusal:
    """A reply to RCPT TO other than 250."""

    code: int
    text: str

    @property
    def closes(self) -> bool:
        """Whether the connection is closed after it."""
        return self.code == 421


_REFUSALS = {
    "550": Refusal(550, "5.1.1 User unknown"),
    "450": Refusal(450, "4.2.0 Mailbox busy, try again later"),
    "552full": Refusal(552, "5.2.2 Mailbox full"),
    "554spam": Refusal(554, "5.7.1 Message refused as spam"),
    "421": Refusal(421, "4.3.2 Closing the channel"),
}
_FATES = {
    "drop": Fate.DROPPED,
    "commitdrop": Fate.KEPT_THEN_DROPPED,
    "slow": Fate.KEPT_SLOWLY,
    "stall": Fate.KEPT_SILENTLY,
}


def refusal(address: str) -> Refusal | None:
    """Return the refusal that an address asks for, if any."""
    return _REFUSALS.get(_word(address))


def fate(addresses: list[str]) -> Fate:
    """Return what happens to a message to these recipients: the first that asks for something decides."""
    asked = (_FATES.get(_word(address)) for address in addresses)
    return next((fate for fate in asked if fate is not None), Fate.DELIVERED)


def _word(address: str) -> str:
    word, plus, _ = address.partition("@")[0].partition("+")
    return word.lower() if plus else ""
