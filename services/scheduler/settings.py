"""What the scheduler reads from the environment (SENDLOG_*)."""

import msgspec


class Settings(msgspec.Struct, kw_only=True):
    """`health_port` 0 takes a free port."""

    nats_url: str
    database_url: str
    health_port: int
    health_host: str = "127.0.0.1"
