"""What the projector counts."""

from typing import Final

from prometheus_client import Counter, Gauge

PROJECTED: Final = Counter("sendlog_projected_total", "Records new to the archive")
BATCHES: Final = Counter("sendlog_projected_batches_total", "Batches written")
PENDING: Final = Gauge("sendlog_projection_pending_records", "Records of the log that are not archived yet")
LOG_RECORDS: Final = Gauge("sendlog_log_records", "Records in the log")
LOG_BYTES: Final = Gauge("sendlog_log_bytes", "Size of the log in bytes")
LOG_FULL: Final = Gauge("sendlog_log_full_ratio", "Size of the log as a part of what it may have")
TRIMMED: Final = Counter("sendlog_log_trimmed_records_total", "Records trimmed from the log")
SWEPT: Final = Counter("sendlog_objects_swept_total", "Objects deleted because no email refers to them")
EXPIRED: Final = Counter("sendlog_contents_expired_total", "Contents deleted because their time was over")
