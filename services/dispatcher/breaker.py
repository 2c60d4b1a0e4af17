"""Leaving a server alone that does not answer: five failures in a row open the breaker, one probe closes it.

Pure: the time is handed in (seconds of any steady clock). A probe whose result nobody tells lapses, or
one record that was given up half way would keep an account closed for ever.
"""

from typing import Final

OPEN_AFTER: Final = 5
FIRST_PAUSE: Final = 10.0
LONGEST_PAUSE: Final = 300.0
PROBE_LAPSES: Final = 120.0


class Breaker:
    """The state of one account's server in one dispatcher. `retry_at` is when a probe is let through."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._probe_at: float | None = None
        self.retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server is being left alone, but for probes."""
        return self._failures >= OPEN_AFTER

    def allows(self, now: float) -> bool:
        """Say whether an attempt may be made; while open, exactly one probe once the pause is over."""
        if not self.is_open:
            return True
        if now < self.retry_at or (self._probe_at is not None and now < self._probe_at + PROBE_LAPSES):
            return False
        self._probe_at = now
        return True

    def failed(self, now: float) -> None:
        """Count a session that could not be opened; each failed probe doubles the pause.

        Failures of attempts that began before it opened change nothing.
        """
        self._failures += 1
        if self._failures < OPEN_AFTER:
            return
        if self._probe_at is not None:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        elif self._failures > OPEN_AFTER:
            return
        self.retry_at = now + self._pause
        self._probe_at = None

    def succeeded(self) -> None:
        """Close it: the server answers."""
        self._failures, self._pause, self._probe_at, self.retry_at = 0, FIRST_PAUSE, None, 0.0
