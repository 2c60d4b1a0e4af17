"""A real mail world, Postfix and Dovecot on free loopback ports, from the test kit beside the repository."""

import imaplib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.local.ports import LOOPBACK, free_port
from tests.controls import servers

KIT: Final = servers.ROOT.parent / "shared" / "testkit" / "mailworld"
PASSWORD: Final = "secret"
SENDER: Final = "sender@platform.test"
DOMAIN: Final = "platform.test"
_PORTS: Final = ("P_MX", "P_SUB", "P_SMTPS", "P_IMAP", "P_IMAPS", "P_POL", "P_LATE")


def need() -> None:
    """Skip the test where there is no mail world to be had, saying what is missing."""
    if not (KIT / "up.sh").exists():
        pytest.skip(f"the test kit is absent: no {KIT}")
    if os.geteuid() != 0:
        pytest.skip("Postfix and Dovecot start as root only")
    for program, package in (("postfix", "postfix"), ("dovecot", "dovecot-core"), ("openssl", "openssl")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: apt-get install {package})")
    for module in ("imap", "lmtp"):
        if not Path(f"/usr/lib/dovecot/{module}").exists():
            pytest.skip(f"Dovecot's {module} is not installed (Debian: apt-get install dovecot-{module}d)")
    if not list(Path("/usr/lib/dovecot").glob("modules/lib90_sieve_plugin.so")):
        pytest.skip("Dovecot's sieve is not installed (Debian: apt-get install dovecot-sieve)")


class MailWorld:
    """Started when made; `stop` ends what it started.

    `tracker` is the port on loopback that all mail for platform.test goes to, instead of into mailboxes;
    `queue_life` and `grey_delay` are in seconds.
    """

    def __init__(
        self, *, tracker: int | None = None, queue_life: int | None = None, grey_delay: int | None = None
    ) -> None:
        self.home = servers.own_directory()
        ports = {name: free_port() for name in _PORTS}
        self.mx, self.submission, self.imap = ports["P_MX"], ports["P_SUB"], ports["P_IMAP"]
        self._environment = {
            **os.environ,
            "MW": str(self.home / "mw"),
            **{name: str(port) for name, port in ports.items()},
            **({"TRACKER_SMTP": f"{LOOPBACK}:{tracker}"} if tracker else {}),
            **({"QLIFE": f"{queue_life}s"} if queue_life else {}),
            **({"GREY_DELAY": str(grey_delay)} if grey_delay else {}),
        }
        self._run("up.sh")

    @property
    def authority(self) -> str:
        """The certificate authority of its servers, in PEM."""
        return (self.home / "mw" / "tls" / "ca.pem").read_text()

    def received(self, user: str) -> list[bytes]:
        """Return the messages in a mailbox as IMAP gives them, oldest first."""
        with imaplib.IMAP4(LOOPBACK, self.imap) as client:
            client.login(user, PASSWORD)
            client.select("INBOX", readonly=True)
            _, found = client.search(None, "ALL")
            raw = [client.fetch(number, "(RFC822)")[1][0] for number in found[0].split()]
        return [item[1] for item in raw if isinstance(item, tuple)]

    def recipient(self, user: str, *words: str) -> list[dict[str, Any]]:
        """Let a recipient wait for a message and do what the words say; return what was done, step by step."""
        command = [sys.executable, str(KIT / "recipient.py"), "--user", user, *words]
        command += ["--imap", f"{LOOPBACK}:{self.imap}", "--smtp", f"{LOOPBACK}:{self.mx}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def stop(self) -> None:
        """End it and remove its state."""
        self._run("down.sh", "--purge")
        servers.remove(self.home)

    def _run(self, script: str, *options: str) -> None:
        done = subprocess.run(
            ["bash", str(KIT / script), *options],
            check=False,  # its words go into the assertion
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
