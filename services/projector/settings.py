"""What the projector reads from the environment (SENDLOG_*)."""

import msgspec


class Connections(msgspec.Struct, kw_only=True):
    """What the tools beside the process need: they touch no content. Content is kept `content_days`."""

    nats_url: str
    database_url: str
    content_days: float = 30


class Settings(Connections, kw_only=True):
    """Content is kept `content_days` after an email's last word.

    The log keeps what is younger than `hot_hours` and not more than `hot_emails` emails (about 1.9 KB of the
    broker's memory each); from 70 % of its size on it keeps less.
    """

    content_url: str
    health_port: int
    health_host: str = "127.0.0.1"
    hot_hours: float = 72
    hot_emails: int = 1_000_000
