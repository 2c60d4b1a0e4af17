"""The broker's objects by name: the log, its consumers, the configuration buckets.

One list, so that the bootstrap that creates them, the services that use them and the projector that
trims below them can never disagree.
"""

from typing import Final

import msgspec

LOG: Final = "EMAILS"
DEAD_LETTERS: Final = "DEAD"
ACK_WAIT: Final = 15.0
HEARTBEAT: Final = 5.0


class Durable(msgspec.Struct, frozen=True, kw_only=True):
    """A durable push consumer of a stream; replicas of its service share it as one queue group.

    `in_flight` is `max_ack_pending`: how many records all replicas together may hold.
    """

    name: str
    filters: tuple[str, ...]
    in_flight: int
    stream: str = LOG

    @property
    def deliver_subject(self) -> str:
        """Return where the server pushes the records of this consumer."""
        return f"deliver.{self.name}"


DISPATCHER: Final = Durable(
    name="dispatcher",
    filters=("emails.*.*.requested.now", "emails.*.*.released"),
    in_flight=8192,
)
SCHEDULER: Final = Durable(
    name="scheduler",
    filters=(
        "emails.*.*.requested.turn",
        "emails.*.*.requested.at",
        "emails.*.*.rescheduled",
        "emails.*.*.cancelled",
        "emails.*.*.deferred",
        "emails.*.*.sent",
        "emails.*.*.failed",
        "emails.*.*.suppressed",
        "emails.*.*.unconfirmed",
    ),
    in_flight=8192,
)
PROJECTOR: Final = Durable(name="projector", filters=("emails.>",), in_flight=16384)
CONSUMERS: Final = (DISPATCHER, SCHEDULER, PROJECTOR)

KEYS: Final = "keys"
KEY_USES: Final = "key_uses"
WORKSPACES: Final = "workspaces"
ACCOUNTS: Final = "accounts"
LEASES: Final = "leases"
LIMITS: Final = "limits"
TEMPLATES: Final = "templates"
TEMPLATE_VERSIONS: Final = "template_versions"
SUPPRESSIONS: Final = "suppressions"
IMPORTS: Final = "suppression_imports"
IMAP_PLACES: Final = "imap_places"
BUCKETS: Final = (
    KEYS,
    KEY_USES,
    WORKSPACES,
    ACCOUNTS,
    LEASES,
    LIMITS,
    SUPPRESSIONS,
    IMPORTS,
    IMAP_PLACES,
    TEMPLATES,
    TEMPLATE_VERSIONS,
)

# What the projector reads besides the log; the log is trimmed below CONSUMERS only.
LISTER: Final = Durable(
    name="projector-suppressions",
    filters=(f"$KV.{SUPPRESSIONS}.*.*",),
    in_flight=16384,
    stream=f"KV_{SUPPRESSIONS}",
)
BESIDES: Final = (LISTER,)
