"""As whom a child process runs, and that it never outlives the process that started it.

Postgres refuses to run as root, so a root supervisor drops to an unprivileged user. Where that user may
not enter a directory above the data or the binaries (a checkout below /root, say), the child keeps one
capability that lets it search directories: no parent directory is ever opened for it.
"""

import ctypes
import os
import pwd
import signal
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
# Searching suffices; some containers withhold it but grant the wider DAC_OVERRIDE.
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_IS_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True) if _IS_LINUX else None


class Unreachable(Exception):
    """No unprivileged user can reach a directory that Postgres needs."""


@dataclass(frozen=True)
class Identity:
    """An unprivileged user, and the one capability it keeps (None where it needs none)."""

    uid: int
    gid: int
    capability: int | None = None


def for_postgres(paths: Iterable[Path]) -> Identity | None:
    """Choose as whom Postgres runs so that it reaches all `paths`; None means as ourselves.

    Raises: Unreachable when we are root and no user we could drop to can enter one of them.
    """
    if os.geteuid() != 0:
        return None
    user = _unprivileged_user()
    blocked = next((p for path in paths for p in _blocking(path, user)), None)
    if blocked is None:
        return Identity(user.pw_uid, user.pw_gid)
    capability = _search_capability()
    if capability is None:
        raise Unreachable(
            f"PostgreSQL refuses to run as root, and the user {user.pw_name} may not enter {blocked}"
        )
    return Identity(user.pw_uid, user.pw_gid, capability)


def before_exec(identity: Identity | None, death_signal: signal.Signals) -> Callable[[], None]:
    """Return what a child does between fork and exec: take its identity, then tie its life to ours."""
    parent = os.getpid()

    def run() -> None:
        if identity is not None:
            _become(identity)
        # After the change of user: the kernel clears the death signal when credentials change.
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return run


def _unprivileged_user() -> pwd.struct_passwd:
    users = {user.pw_name: user for user in pwd.getpwall() if user.pw_uid > 0}
    named = next((users[name] for name in ("nobody", "daemon", "bin") if name in users), None)
    user = named or next(iter(users.values()), None)
    if user is None:
        raise Unreachable("PostgreSQL refuses to run as root, and this machine has no other user")
    return user


def _blocking(path: Path, user: pwd.struct_passwd) -> Iterable[Path]:
    absolute = path.resolve()
    for directory in [*reversed(absolute.parents), absolute]:
        if directory.is_dir() and not _may_enter(directory.stat(), user):
            yield directory


def _may_enter(status: os.stat_result, user: pwd.struct_passwd) -> bool:
    if status.st_uid == user.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.pw_gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _search_capability() -> int | None:
    if not _IS_LINUX:
        return None
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    masks = {name: value for name, _, value in (line.partition(":") for line in lines)}
    held = int(masks.get("CapPrm", "0"), 16) & int(masks.get("CapBnd", "0"), 16)
    return next((cap for cap in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if held >> cap & 1), None)


def _become(identity: Identity) -> None:
    os.setgroups([])
    os.setgid(identity.gid)
    if identity.capability is not None and _libc is not None:
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setuid(identity.uid)
    if identity.capability is not None and _libc is not None:
        mask = 1 << identity.capability
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable
        if _libc.capset(header, sets) != 0:
            os._exit(126)
        # Ambient, because exec of an ordinary binary drops every other kind.
        _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, identity.capability, 0, 0)
