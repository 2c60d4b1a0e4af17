"""What the person at the terminal reads: what is going on, warnings of any process, and how to begin.

A process in trouble can say the same thing thousands of times; the console shows a few and names the file.
"""

import json
import re
import sys
import time
from pathlib import Path

_SHOWN, _PER_SECONDS, _WIDTH = 10, 10.0, 300
_SERIOUS = ("warning", "error", "critical", "exception")
# nats-server, Postgres, and the last line of a Python traceback.
_LOOKS_SERIOUS = re.compile(
    r"\[(WRN|ERR|FTL)\]|^.{0,60}\b(WARNING|ERROR|FATAL|PANIC):|^[\w.]*(Error|Exception|Interrupt)\b|No module named"
)
# Said to whoever asks too early, our own readiness check included.
_EXPECTED = re.compile(r"the database system is (starting up|shutting down|not yet accepting|in recovery)")


class Console:
    """Standard output for progress, standard error for what went wrong."""

    def say(self, text: str) -> None:
        """Print what is going on."""
        print(text, flush=True)

    def complain(self, sentence: str) -> None:
        """Print the one sentence that says what is wrong and what to do."""
        print(f"sendlog: {sentence}", file=sys.stderr, flush=True)


class Echo:
    """One process's warnings on the console, each one line, never a flood."""

    def __init__(self, name: str, log: Path, console: Console) -> None:
        self._name = name
        self._log = log
        self._console = console
        self._since = 0.0
        self._shown = 0

    def line(self, raw: bytes) -> None:
        """Show a line of the process's log if it is a warning or worse."""
        warning = serious(raw)
        if warning is None:
            return
        now = time.monotonic()
        if now - self._since > _PER_SECONDS:
            self._since, self._shown = now, 0
        self._shown += 1
        if self._shown < _SHOWN:
            self._console.say(f"{self._name}: {warning[:_WIDTH]}")
        elif self._shown == _SHOWN:
            self._console.say(f"{self._name}: and more, see {self._log}")


def serious(raw: bytes) -> str | None:
    """Return what a log line says if it is a warning or worse, on one line; None if it is not."""
    text = raw.decode("utf-8", "replace").strip()
    if not text.startswith("{"):
        return text if _LOOKS_SERIOUS.search(text) and not _EXPECTED.search(text) else None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if record.get("level") not in _SERIOUS:
        return None
    told = {k: v for k, v in record.items() if k not in ("level", "event", "at", "service", "exception")}
    cause = str(record.get("exception", "")).strip().splitlines()[-1:]
    details = [f"{name}={value}" for name, value in told.items()]
    return " ".join([str(record.get("event", "")), *details, *cause])


def welcome(*, url: str, api_key: str, mailbox: str, env_file: Path, first: str, seconds: float) -> str:
    """Return how to begin; `first` makes the first email's Idempotency-Key one of this start."""
    return f"""
Sendlog is ready after {seconds:.1f} s.

  API      {url}/api/v1   (described at {url}/docs)
  API key  {api_key}
  Mailbox  {mailbox}
  Shell    source {env_file}

Send a first email, and look at it in the mailbox:

  curl -sS {url}/api/v1/emails/send \\
    -H 'Authorization: Bearer {api_key}' \\
    -H 'Content-Type: application/json' \\
    -H 'Idempotency-Key: first-email-{first}' \\
    -d '{{"to": "you@example.com", "subject": "Hello", "html": "<p>Hello from Sendlog</p>"}}'

Ctrl-C stops everything.
"""
