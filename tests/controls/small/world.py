"""The small world as a child of the test: started, read, killed, and looked at for what it left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from deploy.local.ports import free_port
from tests.controls.eventually import eventually
from tests.controls.servers import ROOT


class SmallWorld:
    """One supervisor on a home of its own, by default with the small plan of stand-ins."""

    def __init__(self, home: Path, module: str = "tests.controls.small", **settings: str) -> None:
        self.home = home
        self._module = module
        names = ("GATEWAY_PORT", "MAILBOX_SMTP_PORT", "MAILBOX_PORT", "NATS_PORT", "POSTGRES_PORT")
        self.settings = {f"SENDLOG_{name}": str(free_port()) for name in names} | settings
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the supervisor; what it prints goes to `console`."""
        with (self.home / "console").open("a", encoding="utf-8") as console:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                text=True,
                cwd=ROOT,
                env={**os.environ, **self.settings, "SENDLOG_HOME": str(self.home)},
            )

    async def ready(self, *, within: float = 30.0) -> None:
        """Wait until everything is."""

        def there() -> bool:
            assert self._process is not None
            assert self._process.poll() is None or not self.console(), f"it ended: {self.console()}"
            return (self.home / "env").exists()

        await eventually(there, within=within)

    async def ended(self, *, within: float = 30.0) -> int:
        """Wait for the end of the supervisor and return its exit code."""
        process = self._process
        assert process is not None
        await eventually(lambda: process.poll() is not None, within=within)
        return process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self) -> None:
        """End the supervisor however it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def console(self) -> str:
        """Return what the terminal shows."""
        place = self.home / "console"
        return place.read_text("utf-8") if place.exists() else ""

    def pid(self, name: str) -> int:
        """Return the process id of a child."""
        return int((self.home / "run" / name).read_text().split()[0])

    def journal(self) -> list[list[str]]:
        """Return what the stand-ins wrote down: what happened and to whom, in order."""
        place = self.home / "journal"
        return [line.split()[1:] for line in place.read_text().splitlines()] if place.exists() else []

    def environment(self) -> dict[str, str]:
        """Return what a shell knows after sourcing the env file."""
        script = f'. "{self.home}/env"; env -0'
        said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
        return dict(pair.split("=", 1) for pair in said.split("\0") if "=" in pair)

    def remains(self) -> list[str]:
        """Return every process that still belongs to this home."""
        home, found = str(self.home), []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words, place = process.info["cmdline"] or [], process.info["cwd"] or ""
            if home in " ".join(words) or place.startswith(home) or self._is_mine(process, home):
                found.append(" ".join(words))
        return found

    def _is_mine(self, process: psutil.Process, home: str) -> bool:
        try:
            return bool(process.environ().get("SENDLOG_HOME") == home and process.pid != os.getpid())
        except psutil.Error:
            return False
