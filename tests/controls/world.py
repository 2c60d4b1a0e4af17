"""The whole local world as `make run` starts it, on free ports and in a home of its own, and what it costs.

Costs are read from /proc for every process below the supervisor: CPU seconds and resident memory.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port

_ENV = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
ROOT = Path(__file__).resolve().parents[2]
PORTS = ("GATEWAY", "TRACKER", "INGRESS", "MAILBOX_SMTP", "MAILBOX", "NATS", "POSTGRES")


class World:
    """A running local world; `variables` are those of its env file."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="sendlog-world-"))
        self.home.chmod(0o711)
        self._own = home is None
        self.ports = {name: free_port() for name in PORTS}
        self.variables: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, within: float = 60.0) -> float:
        """Start it and return the seconds until it was ready."""
        environment = {**os.environ, "SENDLOG_HOME": str(self.home)}
        environment |= {f"SENDLOG_{name}_PORT": str(port) for name, port in self.ports.items()}
        env_file = self.home / "env"
        env_file.unlink(missing_ok=True)  # of a world before this one
        began = time.monotonic()
        with (self.home / "supervisor.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local"], env=environment, cwd=ROOT, stdout=log, stderr=log
            )
        while not env_file.exists():
            if self._process.poll() is not None or time.monotonic() - began > within:
                self.stop()
                raise RuntimeError(
                    f"the world did not start: {(self.home / 'supervisor.log').read_text()[-2000:]}"
                )
            time.sleep(0.02)
        self.variables = {name: value.strip("'\"") for name, value in _ENV.findall(env_file.read_text())}
        return time.monotonic() - began

    def stop(self) -> None:
        """Stop it as Ctrl-C does, and remove its home if it was made here."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
        if self._own:
            shutil.rmtree(self.home, ignore_errors=True)

    def signal_all(self, number: signal.Signals) -> None:
        """Signal every process of it; after SIGKILL nothing of it is left when this returns."""
        for pid in sorted(self.pids()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if number is signal.SIGKILL and self._process:
            self._process.wait()

    @property
    def supervisor_pid(self) -> int:
        """Return the supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def key(self) -> str:
        """Return the API key with all permissions."""
        return self.variables["SENDLOG_API_KEY"]

    def call(self, method: str, path: str, body: object = None, timeout: float = 30) -> dict[str, Any]:
        """Make one API call and return its answer. Raises: urllib.error.HTTPError."""
        request = urllib.request.Request(
            f"{self.variables['SENDLOG_URL']}/api/v1{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def account(self, port: int, name: str = "sink", **fields: object) -> str:
        """Make an SMTP account whose next hop listens on a loopback port; return its id."""
        body = {
            "name": name,
            "host": "127.0.0.1",
            "port": port,
            "tls": "none",
            "auth": "none",
            "identities": [{"address": "hello@sendlog.test"}],
        }
        made: str = self.call("POST", "/accounts", body | fields)["data"]["id"]
        return made

    def pids(self) -> dict[int, str]:
        """Return every process of this world by id, with its command line."""
        parents, commands = {}, {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                commands[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[1])
        found = {self.supervisor_pid: "supervisor"}
        grown = True
        while grown:
            grown = False
            for pid, parent in parents.items():
                if parent in found and pid not in found:
                    found[pid] = commands[pid]
                    grown = True
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds used so far by process name (Postgres' backends added up)."""
        used: dict[str, float] = {}
        for pid, command in self.pids().items():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            seconds = (int(stat[11]) + int(stat[12])) / _TICK
            name = short_name(command)
            used[name] = used.get(name, 0.0) + seconds
        return used

    def resident_mb(self) -> float:
        """Return the resident memory of all processes in MB, shared pages counted once per process."""
        total = 0
        for pid in self.pids():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) * 1024  # type: ignore[index]
            except (OSError, TypeError):
                continue
        return total / 1e6


def short_name(command: str) -> str:
    """Return what a process is called in the table."""
    found = re.search(r"(?:services\.|deploy\.local\.)(\w+)", command)
    if found:
        return found[1]
    for name in ("nats-server", "postgres", "supervisor"):
        if name in command:
            return name
    return "other"


class Sink:
    """bench/sink.py as a process: takes everything and counts."""

    def __init__(self) -> None:
        self.port, self.control = free_port(), free_port()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "bench/sink.py",
                "--port",
                str(self.port),
                "--control",
                str(self.control),
                "--ids",
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.pid = self._process.pid

    async def ask(self, word: str) -> str:
        """Send one control word and return the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control, limit=2**26)
        writer.write(word.encode() + b"\n")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer.decode()

    async def count(self) -> dict[str, int]:
        """Return the totals."""
        counts: dict[str, int] = json.loads((await self.ask("count")).splitlines()[0])
        return counts

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
