"""What the dispatcher reads from the environment (SENDLOG_*)."""

import msgspec


class Settings(msgspec.Struct, kw_only=True):
    """`allow_networks` names networks that may be connected to although they are private (CIDR, comma)."""

    nats_url: str
    content_url: str
    keyring: str
    health_port: int
    health_host: str = "127.0.0.1"
    allow_networks: str = ""
    helo: str = ""
