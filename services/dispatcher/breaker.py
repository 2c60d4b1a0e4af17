"""Leaving a server alone that does not answer: five failures in a row open the breaker, one probe closes it.

Pure: the time is handed in (seconds of any steady clock).
"""

from typing import Final

OPEN_AFTER: Final = 5
FIRST_PAUSE: Final = 10.0
LONGEST_PAUSE: Final = 300.0


class Breaker:
    """The state of one account's server in one dispatcher. `retry_at` is when a probe is let through."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._probing = False
        self.retry_at = 0.0

    def allows(self, now: float) -> bool:
        """Say whether an attempt may be made; while open, exactly one probe once the pause is over."""
        if self._failures < OPEN_AFTER:
            return True
        if now < self.retry_at or self._probing:
            return False
        self._probing = True
        return True

    def failed(self, now: float) -> None:
        """Count a session that could not be opened; each failed probe doubles the pause."""
        self._failures += 1
        if self._failures < OPEN_AFTER:
            return
        if self._probing:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if self._probing or now >= self.retry_at:
            self.retry_at = now + self._pause
        self._probing = False

    def succeeded(self) -> None:
        """Close it: the server answers."""
        self._failures, self._pause, self._probing, self.retry_at = 0, FIRST_PAUSE, False, 0.0
