"""What the mailbox is told by its supervisor, and the only place here that reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the mailbox keeps its messages and listens."""

    directory: Path
    smtp_port: int
    http_port: int
    # One attachment at the API's limit, in base64, and then some.
    largest_message: int = 100 * 1024 * 1024


def read() -> Settings:
    """Read the settings from the environment."""
    return Settings(
        directory=Path(os.environ.get("SENDLOG_HOME", ".sendlog")) / "mailbox",
        smtp_port=int(os.environ.get("SENDLOG_MAILBOX_SMTP_PORT", "1025")),
        http_port=int(os.environ.get("SENDLOG_MAILBOX_PORT", "8025")),
    )
