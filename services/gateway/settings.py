"""What the gateway reads from the environment (SENDLOG_*)."""

import msgspec


class Connections(msgspec.Struct, kw_only=True):
    """What the tools beside the process need."""

    nats_url: str
    keyring: str


class Settings(Connections, kw_only=True):
    """`json_bytes` bounds a JSON body; `public_url` is where clients reach this installation,
    `tracker_url` where recipients do: links in mail begin with it.

    `allow_networks` names networks that may be connected to although they are private (CIDR, comma).
    `dns_servers` are asked for DKIM records instead of the system's resolver (`address` or `address:port`, comma).
    """

    database_url: str
    content_url: str
    health_port: int
    health_host: str = "127.0.0.1"
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8080
    public_url: str = "http://127.0.0.1:8080"
    tracker_url: str = "http://localhost:8081"
    dns_servers: str = ""
    allow_networks: str = ""
    json_bytes: int = 1024 * 1024
