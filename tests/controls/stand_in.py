"""A stand-in for a service in a small world: ready on its health port, and otherwise as its words say.

`python -m tests.controls.stand_in` is started by the supervisor in place of a service; a test changes what
it does by files in SENDLOG_HOME: `fail-<name>` makes it end at once with those words.
"""

import http.server
import os
import signal
import sys
import time
from pathlib import Path

HOME = Path(os.environ["SENDLOG_HOME"])


class _Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def _note(what: str) -> None:
    with (HOME / "journal").open("a") as journal:
        journal.write(f"{time.time():.3f} {what} {os.environ.get('SENDLOG_DATABASE_URL', '-')}\n")


def serve(name: str) -> None:
    """Be ready until asked to stop."""
    if (words := HOME / f"fail-{name}").exists():
        sys.exit(words.read_text())
    _note(f"started {name}")
    print('{"level": "warning", "event": "a warning for the console", "name": "' + name + '"}', flush=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SENDLOG_HEALTH_PORT"])), _Ready)

    def stop(*_: object) -> None:
        _note(f"stopped {name}")
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()


def first_start() -> None:
    """Leave a key, as the first start does."""
    (HOME / "api_key").write_text("sk_test\n")
    _note("first_start")
