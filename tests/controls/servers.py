"""Real NATS, Postgres and mailbox processes on free ports, each in a directory of its own.

They are started with the command lines that `make run` uses, die with the test process (also when that is
killed), and can be killed, paused and started again on the same port by a test that wants to see what happens.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local import identity, servers
from deploy.local.ports import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[2]
# A cluster that lives for one test run need not survive a power cut; kill -9 loses nothing without it.
_NOT_DURABLE = (("fsync", "off"), ("full_page_writes", "off"), ("max_connections", "100"))


class Process:
    """One child process and the levers on it; `start` returns when it is ready."""

    def __init__(
        self,
        command: list[str],
        ready: Callable[[], bool],
        *,
        log: Path,
        who: identity.Identity | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = command
        self.log = log
        self._ready = ready
        self._who = who
        self._environment = dict(os.environ if environment is None else environment)
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running child."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, *, within: float = 20.0) -> Self:
        """Start it and wait until it is ready; an AssertionError carries the end of its log."""
        if self._process is not None:
            self._process.wait(within)  # of the one before, ended by a signal that the test sent
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd="/" if self._who else ROOT,
                start_new_session=True,
                preexec_fn=identity.before_exec(self._who, signal.SIGKILL),  # noqa: PLW1509 - from the main thread
            )
        deadline = time.monotonic() + within
        while not self._ready():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self.command[0]} is not ready (exit {ended}): {self.tail()}")
            time.sleep(0.01)
        return self

    def stop(self, *, within: float = 20.0) -> int:
        """Ask it to stop and return its exit code; killed when it does not."""
        assert self._process is not None, "not started"
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within)
        self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End it as kill -9 does, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop the clock of the process: it neither answers nor ends."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def tail(self, lines: int = 20) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


class NatsServer(Process):
    """A nats-server with JetStream and `sync_interval: always`."""

    def __init__(self, directory: Path) -> None:
        self.nats = servers.Nats(directory / "nats", free_port(), free_port())
        health = f"http://{LOOPBACK}:{self.nats.monitor_port}/healthz?js-enabled-only=true"
        super().__init__(self.nats.command(), lambda: _answers(health), log=directory / "nats.log")

    @property
    def url(self) -> str:
        """Where clients connect."""
        return self.nats.url


class PostgresServer(Process):
    """A Postgres cluster of its own; when the tests run as root it runs as an unprivileged user."""

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self._durable = durable
        self.postgres = servers.Postgres(
            directory / "postgres",
            free_port(),
            secrets.token_hex(8),
            settings=() if durable else _NOT_DURABLE,
        )
        super().__init__(
            self.postgres.command(),
            self._accepts,
            log=directory / "postgres.log",
            who=self.postgres.runs_as(),
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            stop_signal=signal.SIGINT,
        )

    def start(self, *, within: float = 20.0) -> Self:
        """Make the cluster if need be, clear away what a kill left, start, and wait until it lets us in."""
        self.postgres.prepare(durable=self._durable)
        return super().start(within=within)

    def kill(self) -> None:
        """End it as kill -9 does, and wait until its backends are gone too."""
        super().kill()
        servers.end_leftovers(self.postgres.data)

    @property
    def url(self) -> str:
        """Where the superuser connects, to the database `postgres`."""
        return self.postgres.url(database="postgres")

    def _accepts(self) -> bool:
        question = [str(servers.binary("pg_isready")), "-q", "-h", LOOPBACK, "-p", str(self.postgres.port)]
        return subprocess.run(question, check=False).returncode == 0


@dataclass(frozen=True)
class MailboxAddress:
    """Where a development mailbox takes mail and shows it."""

    smtp_port: int
    url: str


class Mailbox(Process):
    """The development mailbox as a process of its own, keeping its mail in `directory`."""

    def __init__(self, directory: Path) -> None:
        http_port = free_port()
        self.address = MailboxAddress(free_port(), f"http://{LOOPBACK}:{http_port}")
        super().__init__(
            [sys.executable, "-m", "deploy.local.mailbox"],
            lambda: _answers(f"{self.address.url}/readyz"),
            log=directory / "mailbox.log",
            environment={
                **os.environ,
                "SENDLOG_HOME": str(directory),
                "SENDLOG_MAILBOX_SMTP_PORT": str(self.address.smtp_port),
                "SENDLOG_MAILBOX_PORT": str(http_port),
            },
        )


def own_directory() -> Path:
    """Make a directory that Postgres may enter whoever it runs as; pytest's own are closed to all but us."""
    directory = Path(tempfile.mkdtemp(prefix="sendlog-test-"))
    directory.chmod(0o711)
    return directory


def remove(directory: Path) -> None:
    """Remove a directory made by `own_directory`, also what belongs to another user."""
    shutil.rmtree(directory, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
