"""What the dispatcher counts."""

from typing import Final

from prometheus_client import Counter, Gauge

ATTEMPTS: Final = Counter("sendlog_attempts_total", "Attempts by what they came to", ["outcome"])
DEFERRED: Final = Counter("sendlog_deferred_unclaimed_total", "Deferrals without an attempt", ["reason"])
HELD: Final = Gauge("sendlog_held_records", "Records in hand")
SUPPRESSED: Final = Counter(
    "sendlog_suppressed_recipients_total", "Recipients found on the suppression list at sending"
)
QUESTIONS: Final = Counter(
    "sendlog_suppression_questions_total", "Questions to the suppression lists; many records share one"
)
