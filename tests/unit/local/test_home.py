"""The directory that holds a local world's state."""

import subprocess
from pathlib import Path

import pytest

from deploy.local.home import Home, Taken


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_second_supervisor_is_told_who_holds_the_home(tmp_path: Path) -> None:
    first = Home(tmp_path)
    with pytest.raises(Taken, match=r"process \d+ already runs Sendlog in .* SENDLOG_HOME"):
        Home(tmp_path)
    first.release()
    Home(tmp_path).release()


def test_a_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    secret = home.secret("postgres_password")
    assert home.secret("postgres_password") == secret
    assert len(secret) >= 32
    assert _mode(tmp_path / "postgres_password") == 0o600
    home.release()


def test_the_env_file_gives_a_shell_exactly_what_was_said(tmp_path: Path) -> None:
    home = Home(tmp_path / "a home")
    said = {"SENDLOG_HOME": str(tmp_path / "a home"), "SENDLOG_API_KEY": 'it\'s $HOME `id` "quoted"'}
    home.write_env(said, binaries=Path("/nowhere/b in"))
    script = f'. "{home.env_file}"; printf "%s\\n" "$SENDLOG_HOME" "$SENDLOG_API_KEY" "${{PATH%%:*}}"'
    heard = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert heard == [*said.values(), "/nowhere/b in"]
    assert _mode(home.env_file) == 0o600
    home.release()


def test_the_env_file_of_an_earlier_run_is_gone_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("export SENDLOG_URL='http://old'\n")
    home = Home(tmp_path)
    assert not home.env_file.exists()
    home.release()


def test_opening_a_home_lets_others_pass_and_not_look(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert _mode(home.path) == 0o700
    home.let_others_pass()
    assert _mode(home.path) == 0o711
    home.release()
