"""Whether the broker's store is stuck, and may be used again.

Once a write to a stream has failed on a full disk, nats-server 2.15 answers nobody who writes there, also
when there is room again; a fresh start reads what is on disk and goes on. Without this a disk that was full
for a second would stop all mail until somebody restarts the broker.
"""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from deploy.local import probe

_ROOM = 64 * 1024 * 1024


def watcher(store: Path, monitor_port: int) -> Callable[[], Awaitable[str | None]]:
    """Return what says why a broker has to be started again, if it has to."""

    async def ails() -> str | None:
        if b"write error" not in await probe.answer(monitor_port, "/healthz"):
            return None
        disk = shutil.disk_usage(store)
        # While the disk is full it would only fail again.
        has_room = disk.free >= min(_ROOM, disk.total // 10)
        return "a write failed on its full disk, which has room again" if has_room else None

    return ails
