import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.tracker import journal
from services.tracker.hit import Hit
from services.tracker.journal import Journal


def a_hit(name: str) -> Hit:
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    return Hit(kind="click", workspace="acme", email_id="e", event_id=name, at=at, url="https://a.test/")


async def kept(directory: Path, names: list[str]) -> list[Hit]:
    hits = [a_hit(name) for name in names]
    writing = Journal(directory)
    writing.left_over()
    writing.start()
    assert all(await asyncio.gather(*(writing.keep(hit) for hit in hits)))
    await writing.stop()
    return hits


def left_over(directory: Path) -> list[str]:
    return [hit.event_id for hit in Journal(directory).left_over()]


async def test_what_nobody_let_go_of_is_there_at_the_next_start(tmp_path: Path) -> None:
    await kept(tmp_path, ["one", "two", "three"])
    assert left_over(tmp_path) == ["one", "two", "three"]


async def test_a_hit_comes_back_as_it_was(tmp_path: Path) -> None:
    (hit,) = await kept(tmp_path, ["one"])
    assert Journal(tmp_path).left_over() == [hit]


async def test_files_go_with_the_last_of_their_hits(tmp_path: Path) -> None:
    await kept(tmp_path, ["one", "two"])
    again = Journal(tmp_path)
    hits = again.left_over()
    again.let_go(hits[0])
    assert len(list(tmp_path.iterdir())) == 1
    again.let_go(hits[1])
    assert not list(tmp_path.iterdir())


async def test_a_torn_or_changed_line_ends_its_file_and_loses_nothing_before(tmp_path: Path) -> None:
    await kept(tmp_path, ["one", "two"])
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert left_over(tmp_path) == ["one"]
    path.write_bytes(whole.replace(b'"two"', b'"owt"'))
    assert left_over(tmp_path) == ["one"]


async def test_a_new_process_never_writes_into_an_old_file(tmp_path: Path) -> None:
    await kept(tmp_path, ["one"])
    await kept(tmp_path, ["two"])
    assert len(list(tmp_path.iterdir())) == 2
    assert left_over(tmp_path) == ["one", "two"]


async def test_a_full_journal_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 100)
    writing = Journal(tmp_path)
    writing.start()
    answers = [await writing.keep(a_hit(f"{number}")) for number in range(3)]
    await writing.stop()
    assert answers == [True, False, False]


async def test_a_disk_that_fails_keeps_nobody_waiting(tmp_path: Path) -> None:
    writing = Journal(tmp_path / "journal")
    writing.start()
    (tmp_path / "journal").rmdir()
    assert not await writing.keep(a_hit("one"))
    await writing.stop()


async def test_files_stay_small_enough_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 200)
    writing = Journal(tmp_path)
    writing.start()
    hits = [a_hit(f"{number}") for number in range(6)]
    for hit in hits:
        assert await writing.keep(hit)
    assert len(list(tmp_path.iterdir())) > 2
    for hit in hits:
        writing.let_go(hit)
    assert len(list(tmp_path.iterdir())) == 1
    await writing.stop()
