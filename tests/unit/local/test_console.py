"""What reaches the terminal of all that processes print."""

from pathlib import Path

import pytest

from deploy.local.console import Console, Echo, serious


class _Heard(Console):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b'{"level": "info", "event": "all well"}', None),
        (b'{"level": "error", "event": "no broker", "attempt": 3}', "no broker attempt=3"),
        (
            b'{"level": "error", "event": "bad", "exception": "Traceback\\n  x\\nValueError: y"}',
            "bad ValueError: y",
        ),
        (b"[1] 2026/11/24 [INF] Server is ready", None),
        (b"[1] 2026/11/24 [ERR] disk full", "[1] 2026/11/24 [ERR] disk full"),
        (b"2026-11-24 UTC [7] LOG:  ready", None),
        (b"2026-11-24 UTC [7] FATAL:  out of memory", "2026-11-24 UTC [7] FATAL:  out of memory"),
        (b"2026-11-24 UTC [7] FATAL:  the database system is starting up", None),
        (b'  File "x.py", line 3', None),
        (b"ValueError: nothing there", "ValueError: nothing there"),
        (b'{"level": "error", broken', None),
        (b"\xff\xfe", None),
    ],
)
def test_only_warnings_and_worse_are_shown(line: bytes, shown: str | None) -> None:
    assert serious(line) == shown


def test_a_flood_of_warnings_is_cut_and_its_file_named() -> None:
    heard = _Heard()
    echo = Echo("gateway", Path("/logs/gateway.log"), heard)
    for _ in range(10_000):
        echo.line(b'{"level": "error", "event": "no broker"}')
    assert len(heard.lines) == 10
    assert heard.lines[0] == "gateway: no broker"
    assert heard.lines[-1] == "gateway: and more, see /logs/gateway.log"
