"""A small file system of its own under one directory, that can be filled to the last byte and freed again.

Needs root: a tmpfs is mounted.
"""

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

MEGABYTE = 1024 * 1024


class SmallDisk:
    """A tmpfs mounted at `path`, which must not be in use. What is in it already is taken along.

    `megabytes` is how much room there is beside that.
    """

    def __init__(self, path: Path, megabytes: int = 64) -> None:
        self.path = path
        self._ballast = path / "ballast"
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = path.stat()
        aside = Path(tempfile.mkdtemp(prefix="sendlog-disk-")) / "was"
        subprocess.run(["cp", "-a", path, aside], check=True)
        room = megabytes + _megabytes(aside)
        options = f"size={room}m,mode={found.st_mode & 0o7777:o},uid={found.st_uid},gid={found.st_gid}"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True, capture_output=True
        )
        subprocess.run(["cp", "-a", f"{aside}/.", path], check=True)
        shutil.rmtree(aside.parent)

    def fill(self) -> None:
        """Leave not one free block."""
        file = os.open(self._ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            for piece in (MEGABYTE, 4096):
                with suppress(OSError):  # no room for another one of these
                    while os.write(file, bytes(piece)):
                        pass
        finally:
            os.close(file)

    def free(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink(missing_ok=True)

    def grow(self, megabytes: int) -> None:
        """Have that much room in all."""
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", self.path], check=True)

    def remove(self) -> None:
        """Unmount it, and what was in it is gone."""
        subprocess.run(["umount", "-l", self.path], check=False, capture_output=True)


def unavailable() -> str | None:
    """Return why no file system can be mounted here, if none can."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    place = Path(tempfile.mkdtemp(prefix="sendlog-disk-"))
    try:
        SmallDisk(place, 1).remove()
    except (subprocess.SubprocessError, OSError) as error:
        return f"no tmpfs can be mounted here: {error}"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return None


def _megabytes(path: Path) -> int:
    used = sum(file.lstat().st_blocks * 512 for file in path.rglob("*"))
    return -(-used // MEGABYTE)
