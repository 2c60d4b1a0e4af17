"""What /readyz tells of the tracker: ready without the broker and with a full disk, but not silently.

The pixel and the redirect work all the same; taken out of service for that, every link in every mail would be dead.
"""

from collections.abc import Mapping

from services.tracker.journal import Journal
from services.tracker.parts import Parts
from services.tracker.public import Page
from shared.runtime import health


class Readiness:
    """The checks; `waiting_for` is why the parts that need the broker are not there yet."""

    def __init__(self, journal: Journal) -> None:
        self.health = health.Health()
        self.waiting_for = "not connected yet"
        self._journal = journal
        self._broker: health.Check | None = None
        self.health.add("broker", self._broker_problem, vital=False)
        self.health.add("journal", self._journal_problem, vital=False)

    def opened(self, parts: Parts) -> None:
        """Ask the broker's connection from now on."""
        self._broker = health.broker_check(parts.log, parts.publisher)

    def pages(self) -> Mapping[str, Page]:
        """Return the pages for the public port."""
        return {path: self.health.page(path) for path in ("/livez", "/readyz")}

    async def _broker_problem(self) -> str | None:
        return self.waiting_for if self._broker is None else await self._broker()

    async def _journal_problem(self) -> str | None:
        return self._journal.problem
