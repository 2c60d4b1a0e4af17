"""The suppression lists in memory: entries by workspace and normalised address, as the bucket keeps them."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from shared.mail import address
from shared.runtime.suppressions import Cause, Entry, Place


class FakeSuppressions:
    """Stands for Suppressions where nothing needs a broker; `asked` counts the questions."""

    def __init__(self) -> None:
        self._entries: dict[Place, Entry] = {}
        self.asked = 0

    async def find_all(self, places: Iterable[Place]) -> dict[Place, Entry]:
        """Return the entries of what is suppressed."""
        self.asked += 1
        found = ((place, self._entries.get(_key(*place))) for place in places)
        return {place: entry for place, entry in found if entry is not None}

    async def find(self, workspace: str, addresses: Collection[str]) -> dict[str, Entry]:
        """Return the entries of those addresses that are suppressed."""
        found = await self.find_all((workspace, one) for one in addresses)
        return {one: entry for (_, one), entry in found.items()}

    async def add(
        self, workspace: str, email: str, reason: Cause, detail: str | None = None
    ) -> tuple[Entry, bool]:
        """Return the address's entry and whether it is new."""
        key = _key(workspace, email)
        new = key not in self._entries
        entry = Entry(email=email, reason=reason, detail=detail, created_at=datetime.now(UTC))
        return self._entries.setdefault(key, entry), new

    async def remove(self, workspace: str, email: str) -> Entry | None:
        """Take the address off the list."""
        return self._entries.pop(_key(workspace, email), None)


def _key(workspace: str, email: str) -> Place:
    return workspace, address.normalised(email)
