"""Where Sendlog is: the shell's word before the file's, and no key for a stranger."""

from pathlib import Path

import pytest

from cli import environment
from cli.environment import Environment
from cli.failure import FORBIDDEN, UNAVAILABLE, USAGE, Failure

FILE = {"SENDLOG_URL": "http://local", "SENDLOG_API_KEY": "sk_local", "SENDLOG_NATS_URL": "nats://local"}


def _code(found: Environment, question: str) -> int:
    with pytest.raises(Failure) as failure:
        getattr(found, question)()
    return failure.value.code


def test_the_file_is_enough() -> None:
    found = Environment({}, FILE)
    assert (found.url(), found.api_key()) == ("http://local", "sk_local")


def test_the_shell_comes_first() -> None:
    found = Environment({"SENDLOG_URL": "https://live/", "SENDLOG_API_KEY": "sk_live"}, FILE)
    assert (found.url(), found.api_key()) == ("https://live", "sk_live")
    assert found.get("SENDLOG_NATS_URL") == "nats://local"


def test_the_files_key_is_never_sent_to_another_url() -> None:
    assert _code(Environment({"SENDLOG_URL": "https://live"}, FILE), "api_key") == FORBIDDEN


def test_the_files_key_goes_to_the_files_url_however_it_is_known() -> None:
    assert Environment({"SENDLOG_URL": "http://local/"}, FILE).api_key() == "sk_local"


def test_an_empty_variable_is_no_variable() -> None:
    assert Environment({"SENDLOG_URL": ""}, FILE).url() == "http://local"


def test_nothing_known_is_nothing_reachable() -> None:
    assert _code(Environment({}, {}), "url") == UNAVAILABLE


def test_what_is_no_address_is_a_mistake() -> None:
    assert _code(Environment({"SENDLOG_URL": "localhost:8080"}, {}), "url") == USAGE


def test_a_health_address_is_known_by_its_process() -> None:
    found = Environment({"SENDLOG_GATEWAY_HEALTH": "http://b"}, {"SENDLOG_NATS_HEALTH": "http://a"})
    assert found.health() == {"gateway": "http://b", "nats": "http://a"}


def test_the_env_file_is_read_as_a_shell_would() -> None:
    text = "# c\nexport SENDLOG_URL='http://x'\nSENDLOG_API_KEY=\"sk 'q\"\nexport PATH=/x:$PATH\n"
    text += "export SENDLOG_HOME='it'\"'\"'s'\nexport SENDLOG_BROKEN='\n"
    assert environment.parse(text) == {
        "SENDLOG_URL": "http://x",
        "SENDLOG_API_KEY": "sk 'q",
        "SENDLOG_HOME": "it's",
    }


def test_the_file_is_found_in_the_home_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env").write_text("export SENDLOG_URL='http://home'\n")
    monkeypatch.setenv("SENDLOG_HOME", str(tmp_path))
    monkeypatch.delenv("SENDLOG_URL", raising=False)
    assert environment.read().url() == "http://home"


def test_the_file_is_found_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".sendlog").mkdir()
    (tmp_path / ".sendlog" / "env").write_text("export SENDLOG_URL='http://here'\n")
    for name in ("SENDLOG_HOME", "SENDLOG_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    found = environment.read()
    assert (found.url(), found.place) == ("http://here", tmp_path / ".sendlog" / "env")
