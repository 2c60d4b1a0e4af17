"""What the next hop took, from whom and when, and whether a second copy has a reason.

A copy is explained only by an earlier one whose answer got lost, or whose sender died, was stopped or was
cut off from the broker around it. Two senders that both live and hear each other never explain one.
"""

import itertools
from typing import Any, NamedTuple

from shared.runtime import topology


class Copy(NamedTuple):
    """One message for one recipient, as taken by the next hop."""

    at: float
    process: Any
    unanswered: bool


class Troubles:
    """When something was out of order: moments and stretches, in virtual seconds."""

    def __init__(self) -> None:
        self._stretches: list[tuple[float, float]] = []

    def add(self, start: float, end: float) -> None:
        """Note one."""
        self._stretches.append((start, end))

    def between(self, start: float, end: float) -> bool:
        """Say whether there was any in that time."""
        return any(begun <= end and over >= start for begun, over in self._stretches)


class Copies:
    """All copies of one seed by email and recipient."""

    def __init__(self) -> None:
        self.absences = Troubles()
        self._taken: dict[tuple[str, str], list[Copy]] = {}

    def took(self, email_id: str, address: str, copy: Copy) -> None:
        """Note one."""
        self._taken.setdefault((email_id, address), []).append(copy)

    def counts(self, email_id: str) -> dict[str, int]:
        """Return how many copies each recipient of an email got."""
        return {address: len(copies) for (key, address), copies in self._taken.items() if key == email_id}

    def unexplained(self, email_id: str) -> list[str]:
        """Return the recipients of an email for whom there is a copy without a reason."""
        return [
            address
            for (key, address), copies in self._taken.items()
            if key == email_id and any(not self._is_excused(*pair) for pair in itertools.pairwise(copies))
        ]

    def _is_excused(self, first: Copy, second: Copy) -> bool:
        # What happened up to ack_wait before the final dot may have made somebody take over after it.
        since = first.at - topology.ACK_WAIT
        troubled = first.process.troubles.between(since, second.at) or self.absences.between(since, second.at)
        return first.unanswered or troubled
