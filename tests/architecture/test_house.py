"""House rules that no bought tool knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_CODE = ("services", "shared", "deploy", "cli")
_ALL = (*_CODE, "bench", "tests")
_EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "models", "types", "base"}
_SQL = re.compile(
    r"^\s*(select|insert into|update|delete from|create table|alter table|with \w+ as)\b.*\s", re.I | re.S
)


def _files(*places: str) -> list[Path]:
    return sorted(path for place in places for path in (_ROOT / place).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


@pytest.mark.parametrize("path", _files(*_ALL), ids=_name)
def test_a_file_is_one_noun_of_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert path.stem not in _EMPTY_NAMES or _name(path) == "shared/events/base.py", "the name says nothing"


@pytest.mark.parametrize("path", _files(*_ALL), ids=_name)
def test_no_function_is_longer_than_50_lines(path: Path) -> None:
    too_long = [f"{f.name} ({_length(f)} lines)" for f in _functions(path) if _length(f) > 50]
    assert too_long == []


@pytest.mark.parametrize("path", _files(*_CODE), ids=_name)
def test_only_settings_read_the_environment(path: Path) -> None:
    if path.stem == "settings" or path.is_relative_to(_ROOT / "cli"):
        return
    nodes = list(ast.walk(_tree(path)))
    # Whoever starts a process hands the environment over whole: settings.read(Settings, os.environ).
    handed = {id(a) for n in nodes if isinstance(n, ast.Call) and _is_settings_read(n) for a in n.args}
    attributes = (n for n in nodes if isinstance(n, ast.Attribute) and id(n) not in handed)
    reads = [n.lineno for n in attributes if _reads_environment(n)]
    assert reads == [], "ask for it in settings.py and pass it on"


@pytest.mark.parametrize("path", _files(*_CODE), ids=_name)
def test_sql_is_in_sql_files(path: Path) -> None:
    strings = (n for n in ast.walk(_tree(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    assert [f"line {n.lineno}" for n in strings if _SQL.match(str(n.value))] == []


@pytest.mark.parametrize("path", sorted(_ROOT.glob("requirements*.lock")), ids=_name)
def test_a_lock_has_a_hash_for_everything_and_no_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z0-9][\w.-]*==\S+ \\\n    --hash=sha256:", text, re.M)
    assert len(pinned) == len(re.findall(r"^[a-z0-9][\w.-]*\s*==", text, re.M)) > 10
    assert not re.search(r"https?://|file://|--index|--find-links|--extra| @ ", text)


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _reads_environment(node: ast.Attribute) -> bool:
    asked = node.attr in {"environ", "getenv", "environb"}
    return asked and isinstance(node.value, ast.Name) and node.value.id == "os"


def _is_settings_read(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "settings.read"
