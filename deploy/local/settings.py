"""What the user of the local world may set, and the only place here that reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
# Each public port by the variable that changes it.
_PORTS = {
    "SENDLOG_GATEWAY_PORT": 8080,
    "SENDLOG_TRACKER_PORT": 8081,
    "SENDLOG_INGRESS_PORT": 2526,
    "SENDLOG_MAILBOX_SMTP_PORT": 1025,
    "SENDLOG_MAILBOX_PORT": 8025,
    "SENDLOG_NATS_PORT": 4222,
    "SENDLOG_POSTGRES_PORT": 5432,
}


class Misused(Exception):
    """A setting cannot be what it is; the message names it."""


@dataclass(frozen=True)
class Settings:
    """Where state lives, which ports are public, and the environment that children inherit."""

    home: Path
    ports: Mapping[str, int]
    inherited: Mapping[str, str]

    @property
    def gateway_port(self) -> int:
        """Where the API is served."""
        return self.ports["SENDLOG_GATEWAY_PORT"]

    @property
    def tracker_port(self) -> int:
        """Where links in mail lead."""
        return self.ports["SENDLOG_TRACKER_PORT"]

    @property
    def ingress_port(self) -> int:
        """Where mail comes back."""
        return self.ports["SENDLOG_INGRESS_PORT"]

    @property
    def ingress_url(self) -> str:
        """How mail is handed in: as the tracker is told to speak there."""
        protocol = self.inherited.get("SENDLOG_INGRESS_PROTOCOL", "smtp")
        return f"{protocol}://{LOOPBACK}:{self.ingress_port}"

    @property
    def mailbox_smtp_port(self) -> int:
        """Where the development mailbox takes mail."""
        return self.ports["SENDLOG_MAILBOX_SMTP_PORT"]

    @property
    def mailbox_port(self) -> int:
        """Where the development mailbox shows it."""
        return self.ports["SENDLOG_MAILBOX_PORT"]

    @property
    def nats_port(self) -> int:
        """Where the broker listens."""
        return self.ports["SENDLOG_NATS_PORT"]

    @property
    def postgres_port(self) -> int:
        """Where Postgres listens."""
        return self.ports["SENDLOG_POSTGRES_PORT"]


def read() -> Settings:
    """Read the settings from the environment.

    Raises: Misused when a port is not one, or two are the same.
    """
    home = Path(os.environ.get("SENDLOG_HOME") or ROOT / ".sendlog").absolute()
    ports = _ports(_PORTS)
    by_number: dict[int, str] = {}
    for name, number in ports.items():
        if number in by_number:
            raise Misused(f"{by_number[number]} and {name} are both {number}: give them different ports")
        by_number[number] = name
    return Settings(home, ports, dict(os.environ))


def _ports(defaults: Mapping[str, int]) -> dict[str, int]:
    return {name: _port(name, os.environ.get(name) or str(default)) for name, default in defaults.items()}


def _port(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 5 or not 1 <= int(value) <= 65_535:
        raise Misused(f"{name} must be a port number from 1 to 65535, not {value!r}")
    return int(value)
