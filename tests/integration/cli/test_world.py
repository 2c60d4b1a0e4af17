"""The command line in a whole local world: what `make run` starts, asked by the commands of the README."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controls.eventually import eventually
from tests.controls.servers import ROOT
from tests.controls.world import World


class Shell:
    """Commands run as a user would, knowing nothing but SENDLOG_HOME."""

    def __init__(self, home: Path) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SENDLOG_")}
        self._environment = inherited | {"SENDLOG_HOME": str(home)}

    def __call__(self, *words: str, code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=self._environment | more,
            timeout=60,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout or done.stderr

    def data(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


@pytest.fixture
def shell(home: Path) -> Iterator[Shell]:
    world = World(home)
    world.start(within=90)
    try:
        yield Shell(home)
    finally:
        world.stop()


@pytest.mark.timeout(240)
async def test_a_day_at_the_command_line(shell: Shell) -> None:
    mixed = shell(
        "send", "--to", "ok@example.com", "--to", "550+no@example.com", "--subject", "Mix", "--text", "Hi"
    )
    scheduled = shell(
        "send", "--to", "a@example.com", "--subject", "Later", "--text", "Hi", "--at", "+1h"
    ).strip()

    async def is_sent() -> bool:
        return bool(shell.data("show", mixed.strip())["status"] == "sent")

    await eventually(is_sent, within=30)
    story = shell("show", mixed.strip())
    for part in (
        "Status      sent",
        "ok@example.com",
        "550 5.1.1",
        "Attempt 1 (round 1): sent",
        "RCPT TO:<ok@example.com>",
    ):
        assert part in story

    assert shell("reschedule", scheduled, "+2h").startswith("scheduled for ")
    assert shell("cancel", scheduled) == "cancelled\n"
    assert "cannot be cancelled" in shell("cancel", mixed.strip(), code=1)
    assert "no such email" in shell("show", "00000000-0000-4000-8000-000000000000", code=1)

    async def are_listed() -> bool:
        return {row["subject"] for row in shell.data("list")} == {"Mix", "Later"}

    await eventually(are_listed, within=30)
    assert [row["id"] for row in shell.data("list", "--status", "cancelled")] == [scheduled]

    assert "takes mail" in shell("doctor")
    assert shell("accounts", "verify", "default").startswith("ok    resolve\n")
    assert "rebuilt" in shell("rebuild")

    key = shell("keys", "add", "ci", "--permission", "email.send").strip()
    assert "email.history" in shell("list", code=4, SENDLOG_API_KEY=key)
    other = shell("workspaces", "add", "acme").strip()
    assert "no such email" in shell("show", scheduled, code=1, SENDLOG_API_KEY=other)
    assert [row["name"] for row in shell.data("workspaces", "list")] == ["acme", "default"]
