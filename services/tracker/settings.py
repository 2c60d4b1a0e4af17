"""What the tracker reads from the environment (SENDLOG_*)."""

from typing import Literal

import msgspec


class Settings(msgspec.Struct, kw_only=True):
    """`tracker_host` and `tracker_port` are the public HTTP paths, `ingress_host` and `ingress_port` inbound mail.

    `journal` is the directory of hits the log has not taken yet; it must outlive the process.
    `trusted_proxies` are believed when they say for whom they ask (CIDR, comma). `privacy` is how much is kept of
    who opened or clicked. `machine_networks` is a file of networks used instead of the one that comes along.
    `allow_networks` are private networks in which linked mailboxes may be all the same (CIDR, comma).
    """

    nats_url: str
    database_url: str
    content_url: str
    keyring: str
    journal: str
    health_port: int
    health_host: str = "127.0.0.1"
    tracker_host: str = "127.0.0.1"
    tracker_port: int = 8081
    ingress_host: str = "127.0.0.1"
    ingress_port: int = 2526
    ingress_protocol: Literal["smtp", "lmtp"] = "smtp"
    trusted_proxies: str = ""
    privacy: Literal["full", "anonymised", "none"] = "full"
    machine_networks: str = ""
    allow_networks: str = ""
