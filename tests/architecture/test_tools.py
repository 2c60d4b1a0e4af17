"""The tools that hold the house rules: a rule no tool checks is a wish."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_BIN = Path(sys.executable).parent


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
        ["lint-imports"],
        ["python", "-m", "shared.events.catalogue", "--check"],
        ["python", "-m", "services.gateway.catalogue", "--check"],
    ],
    ids=["formatted", "linted", "typed", "imports_allowed", "events_described", "routes_described"],
)
def test_the_code_is(command: list[str]) -> None:
    assert (_BIN / command[0]).exists(), f"{command[0]} is not installed: make install"
    done = subprocess.run(
        [str(_BIN / command[0]), *command[1:]],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
