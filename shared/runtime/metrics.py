"""The counters every process has; each service adds its own beside what it counts."""

from typing import Final

from prometheus_client import Counter, Histogram

APPENDS: Final = Counter("sendlog_appends_total", "Records the broker confirmed")
APPEND_RETRIES: Final = Counter("sendlog_append_retries_total", "Flushes that had to be repeated")
CONFLICTS: Final = Counter("sendlog_conflicts_total", "Guarded records that came second")
CONSUMED: Final = Counter("sendlog_consumed_total", "Records settled by a consumer", ["consumer"])
REDELIVERED: Final = Counter("sendlog_redelivered_total", "Records that came again", ["consumer"])
DEAD_LETTERS: Final = Counter("sendlog_dead_letters_total", "Records set aside", ["consumer", "reason"])
HANDLING: Final = Histogram(
    "sendlog_handling_seconds",
    "Time from delivery to ack of one batch",
    ["consumer"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 15, 60),
)
