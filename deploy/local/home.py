"""The directory that holds all state of a local world, and the lock that lets only one world use it.

Two supervisors on one directory would run two servers on one store. What is secret in here is readable by
its owner only; the directory itself is opened to 0711 at most, its parents never.
"""

import fcntl
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path


class Taken(Exception):
    """Another supervisor uses this home."""


class Home:
    """A locked SENDLOG_HOME; the lock goes with the process that took it."""

    def __init__(self, path: Path) -> None:
        """Make the directory and lock it.

        Raises: Taken when another supervisor runs on it; OSError when it cannot be made or written.
        """
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(path / "lock", path)
        for name in ("logs", "run", "content"):
            (path / name).mkdir(exist_ok=True, mode=0o700)
        self.env_file.unlink(missing_ok=True)

    @property
    def env_file(self) -> Path:
        """The file to `source`; it is there only while everything is ready."""
        return self.path / "env"

    def release(self) -> None:
        """Say that nothing is ready any more, and let another supervisor in."""
        self.env_file.unlink(missing_ok=True)
        os.close(self._lock)

    def let_others_pass(self) -> None:
        """Let other users reach what is theirs below the home (Postgres when we are root), not list it."""
        self.path.chmod(self.path.stat().st_mode | 0o711)

    def secret(self, name: str) -> str:
        """Return the secret of that name, made at random the first time."""
        place = self.path / name
        if not place.exists():
            write_private(place, secrets.token_urlsafe(24))
        return place.read_text(encoding="ascii").strip()

    def api_key(self) -> str:
        """Return the key that the first start left here."""
        return (self.path / "api_key").read_text(encoding="ascii").strip()

    def write_env(self, variables: Mapping[str, str], *, binaries: Path) -> None:
        """Write the file to `source`, whole or not at all."""
        lines = [f"export {name}='{_quoted(value)}'" for name, value in variables.items()]
        lines.append(f'export PATH={shlex.quote(str(binaries))}:"$PATH"')
        write_private(self.env_file, "\n".join(lines) + "\n")


def _quoted(value: str) -> str:
    return value.replace("'", "'\"'\"'")


def _locked(place: Path, home: Path) -> int:
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise Taken(
            f"process {holder} already runs Sendlog in {home}: stop it, or set SENDLOG_HOME"
        ) from None
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def write_private(place: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    beside = place.with_name(place.name + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(place)
