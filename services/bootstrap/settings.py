"""What the bootstrap reads from the environment (SENDLOG_*)."""

import msgspec


class Settings(msgspec.Struct, kw_only=True):
    """`log_bytes` is the log's size limit in bytes; `replicas` the copies of everything in NATS.

    `content_url` is marked as the content store where the log is new: what is not found in a place without
    the mark is not lost. `role_password` is given to the services' database roles; without it roles are left to the operator.
    """

    nats_url: str
    database_url: str
    role_password: str | None = None
    content_url: str | None = None
    log_bytes: int = 10 * 1024**3
    replicas: int = 1
