"""What the doctor makes of what it sees."""

from collections import namedtuple
from pathlib import Path

import pytest

from cli.checks import broker, database, processes, storage

_Usage = namedtuple("_Usage", "total used free")


def _consumer(**fields: object) -> dict[str, object]:
    return {"num_pending": 0, "num_ack_pending": 0, "push_bound": True} | fields


@pytest.mark.parametrize(
    ("info", "verdict", "says"),
    [
        (_consumer(), "ok", "0 records to go"),
        (_consumer(num_pending=20_000), "WARN", "20000 records to go"),
        (_consumer(push_bound=False), "FAIL", "nobody serves it"),
        ({"num_pending": 0, "num_ack_pending": 0}, "FAIL", "nobody serves it"),
        (None, "FAIL", "missing"),
    ],
)
def test_a_consumer_must_be_served(info: dict[str, object] | None, verdict: str, says: str) -> None:
    found = broker.consumer("dispatcher", info)
    assert (found.verdict, says in found.message) == (verdict, True)
    assert bool(found.action) == (verdict != "ok")


@pytest.mark.parametrize(("share", "verdict"), [(0.1, "ok"), (0.7, "WARN"), (0.9, "FAIL")])
def test_a_full_log_takes_no_new_mail(share: float, verdict: str) -> None:
    assert broker.room(int(share * 1e9), 10**9).verdict == verdict


@pytest.mark.parametrize(
    ("here", "done", "verdict"),
    [
        ({"a": "1"}, {"a": "1"}, "ok"),
        ({"a": "1", "b": "2"}, {"a": "1"}, "FAIL"),
        ({"a": "1"}, {"a": "other"}, "FAIL"),
        ({"a": "1"}, {"a": "1", "b": "2"}, "WARN"),
    ],
)
def test_migrations_are_those_of_this_version(
    here: dict[str, str], done: dict[str, str], verdict: str
) -> None:
    assert database.compare(here, done).verdict == verdict


def test_every_migration_of_this_version_is_known() -> None:
    found = database.wanted(Path(__file__).parents[3] / "services")
    assert {"projector/001_read_model.sql", "scheduler/001_waiting.sql"} <= set(found)


@pytest.mark.parametrize(
    ("status", "checks", "verdict"),
    [
        (200, {"broker": "ok"}, "ok"),
        (200, {"broker": "ok", "database": "down"}, "WARN"),
        (503, {"broker": "not connected"}, "FAIL"),
        (503, {}, "FAIL"),
        (200, {}, "ok"),
    ],
)
def test_a_process_is_what_it_says(status: int, checks: dict[str, str], verdict: str) -> None:
    found = processes.ready("gateway", status, {"checks": checks})
    assert found.verdict == verdict
    assert all(reason == "ok" or reason in found.message for reason in checks.values())


@pytest.mark.parametrize(("free", "verdict"), [(50, "ok"), (9, "WARN"), (2, "FAIL")])
def test_a_disk_needs_room(free: int, verdict: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage(100, 100 - free, free))
    assert storage.disk(tmp_path).verdict == verdict
