"""How a command begins and ends: quickly, and never with a traceback."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import failure, rebuild
from tests.controls.servers import ROOT
from tests.integration.cli.stub_api import EMAIL, CommandLine, StubApi

_HEAVY = ("asyncio", "aiohttp", "nats", "asyncpg", "msgspec", "structlog", "email_validator", "json", "ssl")


def test_help_loads_nothing_heavy() -> None:
    question = (
        f"import sys; import cli.__main__ as m; m.parser(); print([n for n in {_HEAVY} if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", question], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("words", [("--help",), ("send", "--help"), ("accounts", "add", "--help")])
async def test_help_tells_the_exit_codes(cli: CommandLine, words: tuple[str, ...]) -> None:
    said = await cli(*words)
    assert said.code == 0
    assert failure.EXIT_CODES.strip() in said.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("list", "--limit", "many"), "argument --limit: must be a whole number of 1 or more, not 'many'"),
        (("list", "--limit", "0"), "argument --limit: must be a whole number of 1 or more, not '0'"),
        (("accounts", "edit", "a", "--port", "smtp"), "argument --port: must be a whole number"),
        (("accounts", "edit", "a", "--per-hour", "x"), "a whole number of 1 or more, not 'x'; or none"),
        (("list", "--no\nsuch"), "unrecognized arguments: --no"),
        (("tail", "--since", "999999d"), "'999999d' is too far away"),
    ],
)
async def test_a_mistaken_command_line_is_one_sentence(
    api: StubApi, cli: CommandLine, words: tuple[str, ...], said: str
) -> None:
    answer = await cli(*words)
    assert (answer.code, answer.out) == (failure.USAGE, "")
    assert answer.err.startswith("sendlog: ")
    assert said in answer.err
    assert answer.err.count("\n") == 1


async def test_a_reader_who_has_seen_enough_is_no_failure(api: StubApi) -> None:
    api.answer("GET", "/emails", [EMAIL] * 100)
    read, write = os.pipe()
    os.close(read)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "list", "--limit", "100", cwd=ROOT, stdout=write, stderr=asyncio.subprocess.PIPE
    )  # fmt: skip
    os.close(write)
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_a_fault_of_our_own_is_one_line(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/emails/{EMAIL['id']}", {"id": "half an email"})
    said = await cli("show", EMAIL["id"])
    assert (said.code, said.err) == (70, "sendlog: a fault of the command line: KeyError('unified_status')\n")


@pytest.fixture
def projector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the projector's rebuild; what it does is written into the file."""
    monkeypatch.setattr(rebuild, "MODULE", "stand_in")
    monkeypatch.setattr(rebuild, "CHECKOUT", tmp_path)
    for name in ("NATS_URL", "DATABASE_URL"):
        monkeypatch.setenv(f"SENDLOG_{name}", f"x://{name}")
    return tmp_path / "stand_in.py"


async def test_a_rebuild_tells_how_far_it_is(projector: Path, cli: CommandLine) -> None:
    projector.write_text(
        """print('a log line')
for done in range(0, 101): print('{"done": %d, "total": 100}' % done)
print('{"finished": true, "events": 100, "emails": 40}')
"""
    )
    said = await cli("rebuild")
    lines = said.out.splitlines()
    assert (said.code, len(lines), lines[0]) == (0, 12, "0 of 100 events (0 %)")
    assert lines[-2:] == ["100 of 100 events (100 %)", "rebuilt 100 events, 40 emails"]


async def test_a_rebuild_hands_on_the_workspace_and_the_environment(
    projector: Path, cli: CommandLine
) -> None:
    projector.write_text(
        """import json, os, sys
print(json.dumps({"done": 1, "total": 1, "words": sys.argv[1:], "url": os.environ["SENDLOG_NATS_URL"]}))
"""
    )
    said = await cli("rebuild", "--workspace", "acme", "--json")
    assert '"words": ["--json", "--workspace", "acme"], "url": "x://NATS_URL"' in said.out


async def test_a_rebuild_that_fails_says_its_last_words(projector: Path, cli: CommandLine) -> None:
    projector.write_text("import sys; sys.exit('rebuild: the database is away')")
    said = await cli("rebuild")
    assert (said.code, said.err) == (3, "sendlog: rebuild: the database is away\n")


async def test_a_rebuild_needs_to_know_where(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDLOG_HOME", "/nowhere")
    monkeypatch.delenv("SENDLOG_NATS_URL", raising=False)
    assert (await cli("rebuild")).code == 3
