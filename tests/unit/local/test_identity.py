"""As whom Postgres runs."""

import os
from pathlib import Path

import pytest

from deploy.local import identity

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")


@pytest.mark.skipif(os.geteuid() == 0, reason="root does drop")
def test_an_ordinary_user_stays_who_it_is(tmp_path: Path) -> None:
    assert identity.for_postgres([tmp_path]) is None


@as_root
def test_root_drops_to_a_user_without_any_right_where_all_directories_are_open() -> None:
    who = identity.for_postgres([Path("/usr")])
    assert who is not None
    assert who.uid > 0
    assert who.capability is None


@as_root
def test_a_closed_directory_above_costs_one_capability_and_opens_nothing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "below").mkdir(parents=True)
    closed.chmod(0o700)
    who = identity.for_postgres([closed / "below"])
    assert who is not None
    assert who.capability is not None
    assert closed.stat().st_mode & 0o777 == 0o700
