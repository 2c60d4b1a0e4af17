"""What the scheduler counts."""

from typing import Final

from prometheus_client import Counter, Histogram

SAID: Final = Counter("sendlog_scheduler_said_total", "What the scheduler appended", ["event"])
RELEASED: Final = SAID.labels("released")
EXPIRED: Final = SAID.labels("expired")
LATENESS: Final = Histogram(
    "sendlog_release_lateness_seconds",
    "From an email's due time to its release, waits for credit, pace and holds included",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 600, 3600),
)
READ: Final = Counter("sendlog_scheduler_histories_total", "Emails whose records had to be read", ["why"])
POSTPONED: Final = Counter(
    "sendlog_scheduler_postponed_total", "Emails nothing could be said of: look into it"
)
TRIMMED: Final = Counter("sendlog_scheduler_tombstones_trimmed_total", "Finished rows deleted")
