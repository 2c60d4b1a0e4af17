"""What the written pages say is so: settings, commands, links."""

import argparse
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.__main__ import parser
from deploy.local import settings as local

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = [
    *(_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((_ROOT / "docs").rglob("*.md")),
]
_OPERATIONS = (_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def _rows(columns: int) -> dict[str, list[str]]:
    """Return the rows of the settings tables with so many columns, by variable."""
    found = {}
    for line in _OPERATIONS.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `SENDLOG_") and len(cells) == columns:
            found[cells[0].strip("`")] = cells[1:]
    return found


def _told(field: Any) -> str:
    if field.required:
        return "required"
    if isinstance(field.default, float):
        return f"{field.default:g}"
    return {None: "none", "": "empty"}.get(field.default, str(field.default))


def _settings() -> dict[str, tuple[set[str], str]]:
    """Return every variable of every service: who reads it, and its default as the page tells it."""
    found: dict[str, tuple[set[str], str]] = {}
    for path in sorted((_ROOT / "services").glob("*/settings.py")):
        kind = import_module(f"services.{path.parent.name}.settings").Settings
        for field in msgspec.structs.fields(kind):
            readers, _ = found.setdefault(f"SENDLOG_{field.name.upper()}", (set(), _told(field)))
            readers.add(path.parent.name)
            if field.required:
                found[f"SENDLOG_{field.name.upper()}"] = (readers, "required")
    return found


def test_every_setting_is_in_the_table_with_its_readers_and_its_default() -> None:
    told = {name: (set(cells[0].split(", ")), cells[1]) for name, cells in _rows(4).items()}
    assert told == _settings()


def test_every_setting_of_the_local_world_is_in_the_table() -> None:
    told = {name: cells[0] for name, cells in _rows(3).items()}
    assert told.pop("SENDLOG_HOME") == "`.sendlog` in the checkout"
    assert told == {name: str(port) for name, port in local._PORTS.items()}


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_every_link_leads_to_something(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    anchors = {_anchor(line) for line in text.splitlines() if line.startswith("#")}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if file.startswith("http"):
            continue
        assert not file or (page.parent / file).exists(), f"{target} leads nowhere"
        assert file or anchor in anchors, f"#{anchor} leads nowhere"


def _anchor(heading: str) -> str:
    words = heading.lstrip("#").strip().lower()
    return "".join(c for c in words if c.isalnum() or c in "-_ ").replace(" ", "-")


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_every_command_that_is_told_of_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for words in _told_commands(text, "make"):
        assert words[0] in targets, f"make {words[0]}"
    for words in _told_commands(text, "sendlog"):
        assert _is_command(parser(), words), f"sendlog {' '.join(words)}"
    for module in re.findall(r"python -m ([\w.]+)", text):
        if "<" not in module and module != "services.":
            assert _module(module), module


def _told_commands(text: str, program: str) -> list[list[str]]:
    """Return the words after a program's name, where it stands as code: in a block or between backticks."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", text)
    told = [line.split("#")[0].split() for line in lines if line.startswith(f"{program} ")]
    return [words[1:] for words in told if len(words) > 1 and re.fullmatch(r"[a-z-]+", words[1])]


def _is_command(level: argparse.ArgumentParser, words: list[str]) -> bool:
    """Say whether the words before the first option or value name a command, and its options are known."""
    for action in level._actions:
        if isinstance(action, argparse._SubParsersAction):
            return (
                bool(words)
                and words[0] in action.choices
                and _is_command(action.choices[words[0]], words[1:])
            )
    known = {option for action in level._actions for option in action.option_strings}
    return {word for word in words if word.startswith("--")} <= known


def _module(name: str) -> bool:
    place = _ROOT / name.replace(".", "/")
    return place.with_suffix(".py").exists() or (place / "__main__.py").exists()
