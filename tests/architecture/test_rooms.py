"""The rooms of the house: each service has its door sign, and no door between two of them."""

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_SERVICES = sorted(path.parent.name for path in (_ROOT / "services").glob("*/__main__.py"))
_LONG_RUNNING = [name for name in _SERVICES if name != "bootstrap"]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides which room it is from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _all_imports(place: str) -> set[str]:
    return {name for path in (_ROOT / place).rglob("*.py") for name in _imports(path)}


def test_there_are_services_to_look_at() -> None:
    assert {"bootstrap", "dispatcher", "gateway", "projector", "scheduler"} <= set(_SERVICES)


@pytest.mark.parametrize("service", _SERVICES)
def test_no_service_imports_another(service: str) -> None:
    others = {name for name in _all_imports(f"services/{service}") if name.startswith("services.")}
    assert {name.split(".")[1] for name in others} <= {service}


@pytest.mark.parametrize("service", _SERVICES)
def test_a_door_sign_says_what_goes_in_what_comes_out_and_what_never(service: str) -> None:
    sign = inspect.getdoc(import_module(f"services.{service}")) or ""
    assert [line.split(":")[0] for line in sign.splitlines()[2:] if ":" in line] == [
        "Consumes",
        "Produces",
        "Owns",
        "Never",
    ]


@pytest.mark.parametrize("service", _LONG_RUNNING)
def test_a_service_has_the_rooms_every_service_has(service: str) -> None:
    rooms = {path.name for path in (_ROOT / "services" / service).iterdir()}
    assert {"__init__.py", "__main__.py", "app.py", "settings.py"} <= rooms


@pytest.mark.parametrize(
    ("service", "never"),
    [
        ("dispatcher", {"asyncpg", "shared.runtime.postgres"}),
        ("gateway", {"aiosmtplib", "smtplib"}),
        ("scheduler", {"aiosmtplib", "smtplib"}),
        ("projector", {"aiosmtplib", "smtplib", "shared.runtime.publisher"}),
    ],
)
def test_a_service_does_not_touch_what_its_sign_says_never(service: str, never: set[str]) -> None:
    touched = {name for name in _all_imports(f"services/{service}") for word in never if _is_in(name, word)}
    assert touched == set()


def _is_in(name: str, word: str) -> bool:
    return name == word or name.startswith(f"{word}.")


@pytest.mark.parametrize(
    "path", sorted((_ROOT / "services").rglob("decisions.py")), ids=lambda path: str(path.relative_to(_ROOT))
)
def test_a_decision_is_pure(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    impure = {"random", "secrets", "time", "asyncio", "structlog", "uuid.uuid4"}
    assert {name for name in _imports(path) for word in impure if _is_in(name, word)} == set()
    clocks = [
        n.lineno for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in ("now", "utcnow")
    ]
    assert clocks == [], "the time is an input"
