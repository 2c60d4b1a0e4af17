"""Objects written as files that survive a power cut: whole under their name, or not there at all.

obstore renames without any fsync, so after a power cut an accepted email's file could be empty. Here the bytes
are on disk before the name is, and the name before the caller goes on. A directory without the marker may be
the place where a disk is not mounted: what is not found in it is not lost.
"""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

UNFINISHED: Final = ".unfinished"  # beside the workspaces: what a crash leaves here is swept with the rest
MARKER: Final = ".sendlog-store"
_LOOK_EVERY: Final = 4 * 1024 * 1024
SPARE: Final = 64 * 1024 * 1024
SPARE_PART: Final = 0.05


class Files:
    """A directory of objects."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._settled: set[str] = set()
        # Stores from before there were markers are known by what is in them. Not an empty one, whoever made
        # it: so looks the place of a disk that is not there, and only the bootstrap says that it is new.
        if not self.is_marked() and any(path.is_file() for path in root.glob("[!.]*/**/*")):
            with suppress(OSError):
                self.mark()

    def is_marked(self) -> bool:
        """Say whether this is the store, and not the place where it should be."""
        return (self._root / MARKER).is_file()

    def mark(self) -> None:
        """Say from now on that this is the store. Raises: OSError."""
        (self._root / MARKER).touch()
        _sync(self._root)

    def begin(self) -> "Upload":
        """Open a new object without a name. Raises: OSError."""
        require_room(self._root)
        path = Path(f"{self._root}/{UNFINISHED}/{secrets.token_hex(16)}")
        try:
            return Upload(path)
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)
            return Upload(path)

    def finish(self, upload: "Upload", key: str) -> None:
        """Give the object its name; it is durable when this returns. Raises: OSError."""
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"not a key: {key!r}")
        upload.settle()
        target = f"{self._root}/{key}"
        directory = os.path.dirname(target)
        if directory not in self._settled:
            self._settle(directory)
        try:
            os.replace(upload.path, target)
        except FileNotFoundError:  # a sweep has removed the directory meanwhile
            self._settle(directory)
            os.replace(upload.path, target)
        _sync(directory)

    def drop(self, upload: "Upload", key: str) -> None:
        """Remove an upload, also when it has its name already: the key must be the upload's own. Raises: OSError."""
        upload.drop()
        (self._root / key).unlink(missing_ok=True)

    def _settle(self, directory: str) -> None:
        """Make the directory and have its name on disk, and the names of all above it."""
        path = Path(directory)
        path.mkdir(parents=True, exist_ok=True)
        for above in path.parents:
            _sync(above)
            if above == self._root:
                break
        self._settled.add(directory)


class Upload:
    """Bytes on their way into a file; ends by `Files.finish` or by `drop`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("xb", buffering=0)
        self._size = self._looked_at = 0

    def write(self, data: bytes) -> None:
        """Append. Raises: OSError."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._size += len(data)
        if (fresh := self._size - self._looked_at) >= _LOOK_EVERY:
            require_room(self.path.parent)
            # The kernel begins to write back and nobody waits for it: flushing here took twice as long in all.
            os.posix_fadvise(self._file.fileno(), self._looked_at, fresh, os.POSIX_FADV_DONTNEED)
            self._looked_at = self._size

    def settle(self) -> None:
        """Have all bytes on disk. Raises: OSError."""
        os.fsync(self._file.fileno())
        self._file.close()

    def drop(self) -> None:
        """Remove what has no name yet. Raises: OSError."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def require_room(directory: Path) -> None:
    """Refuse to fill up a disk that others write to as well: what is under way needs the rest. Raises: OSError."""
    disk = os.statvfs(directory)
    if disk.f_bavail * disk.f_frsize < min(SPARE, SPARE_PART * disk.f_blocks * disk.f_frsize):
        raise OSError(errno.ENOSPC, "the disk is nearly full")


def _sync(directory: Path | str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
