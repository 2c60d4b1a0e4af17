"""The known networks of machines, read again when their file changes: ranges move, and nobody restarts for that."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from services.tracker import machine

logger = structlog.get_logger(__name__)
LOOK_EVERY: Final = 5.0
MOST: Final = 10_000  # addresses that are remembered: who opens once opens and clicks again


class Ranges:
    """What the file says; while it cannot be read, what it said last."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises: ValueError naming the line, OSError."""
        self._path = path
        self._changed = _changed(path)
        self._networks = machine.networks(path)
        self._told: dict[str, str | None] = {}
        self._looked_at = 0.0

    def reason(self, address: str) -> str | None:
        """Return why the address is a machine's, by the file as of some seconds ago, or None."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._look()
        if address not in self._told:
            if len(self._told) >= MOST:
                self._told.clear()
            self._told[address] = machine.by_network(address, self._networks)
        return self._told[address]

    def _look(self) -> None:
        try:
            changed = _changed(self._path)
            if changed != self._changed:
                self._changed = changed
                self._networks = machine.networks(self._path)
                self._told.clear()
                logger.info("machine_networks_read", path=str(self._path))
        except (OSError, ValueError) as error:
            logger.error("machine_networks_unreadable", path=str(self._path), error=str(error))


def _changed(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
