"""The log in memory: guards, sequences and histories as the broker keeps them."""

from shared.events import record
from shared.runtime.publisher import Conflict


class FakeLog:
    """Append and read by email; stands for Log and Publisher at once."""

    def __init__(self) -> None:
        self.records: list[record.Record] = []
        self._lanes: dict[tuple[str, str], list[record.Record]] = {}

    async def append(self, item: record.Record, *, guard: int | None = None, within: float = 30.0) -> int:
        """Append one record. Raises: Conflict when the guard is not the lane's last sequence."""
        return self.put(item, guard)

    def put(self, item: record.Record, guard: int | None) -> int:
        """Append without waiting."""
        lane = self._lanes.setdefault((item.workspace, item.email_id), [])
        last = lane[-1].sequence if lane else 0
        if guard is not None and guard != last:
            if any(known.event_id == item.event_id for known in lane):
                return next(known.sequence for known in lane if known.event_id == item.event_id)
            raise Conflict(f"wrong last sequence: {last}")
        stored = item._replace(sequence=len(self.records) + 1)
        self.records.append(stored)
        lane.append(stored)
        return stored.sequence

    async def history(self, workspace: str, email_id: str, *, within: float = 5.0) -> list[record.Record]:
        """Return an email's records in order."""
        return list(self._lanes.get((workspace, email_id), ()))
