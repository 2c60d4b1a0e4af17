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
    writing.start()
    assert all(await asyncio.gather(*(writing.keep(hit) for hit in hits)))
    await writing.stop()
    return hits


async def loaded(directory: Path) -> tuple[Journal, list[Hit]]:
    journal, hits = Journal(directory), []
    while journal.has_left:
        hits += await journal.load()
    return journal, hits


async def left_over(directory: Path) -> list[str]:
    journal, hits = await loaded(directory)
    await journal.stop()
    return [hit.event_id for hit in hits]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("hits-*.log"))


async def test_what_nobody_let_go_of_is_there_at_the_next_start(tmp_path: Path) -> None:
    await kept(tmp_path, ["one", "two", "three"])
    assert await left_over(tmp_path) == ["one", "two", "three"]


async def test_what_was_let_go_of_is_not_there_at_the_next_start_though_its_file_is(tmp_path: Path) -> None:
    await kept(tmp_path, ["one", "two", "three"])
    journal, hits = await loaded(tmp_path)
    journal.let_go([hits[0], hits[2]])
    await journal.stop()
    assert await left_over(tmp_path) == ["two"]


async def test_a_hit_comes_back_as_it_was(tmp_path: Path) -> None:
    (hit,) = await kept(tmp_path, ["one"])
    journal, hits = await loaded(tmp_path)
    await journal.stop()
    assert hits == [hit]


async def test_files_go_with_the_last_of_their_hits(tmp_path: Path) -> None:
    await kept(tmp_path, ["one", "two"])
    again, hits = await loaded(tmp_path)
    again.let_go(hits[:1])
    assert len(files(tmp_path)) == 1
    again.let_go(hits[1:])
    assert not files(tmp_path)
    await again.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


async def test_a_torn_or_changed_line_loses_no_other(tmp_path: Path) -> None:
    await kept(tmp_path, ["one", "two", "three"])
    path = tmp_path / files(tmp_path)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert await left_over(tmp_path) == ["one", "two"]
    path.write_bytes(whole.replace(b'"two"', b'"owt"'))
    assert await left_over(tmp_path) == ["one", "three"]


async def test_a_new_process_never_writes_into_an_old_file(tmp_path: Path) -> None:
    await kept(tmp_path, ["one"])
    await kept(tmp_path, ["two"])
    assert len(files(tmp_path)) == 2
    assert await left_over(tmp_path) == ["one", "two"]


async def test_two_trackers_cannot_have_one_directory(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(OSError, match="in use by another tracker"):
        Journal(tmp_path)
    await first.stop()
    await Journal(tmp_path).stop()


async def test_a_full_journal_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 100)
    writing = Journal(tmp_path)
    writing.start()
    answers = [await writing.keep(a_hit(f"{number}")) for number in range(3)]
    assert writing.problem
    await writing.stop()
    assert answers == [True, False, False]


async def test_a_disk_that_fails_keeps_nobody_waiting_and_is_told_until_it_works(tmp_path: Path) -> None:
    writing = Journal(tmp_path / "journal")
    writing.start()
    (tmp_path / "journal").rename(tmp_path / "away")
    assert not await writing.keep(a_hit("one"))
    assert writing.problem
    (tmp_path / "away").rename(tmp_path / "journal")
    assert await writing.keep(a_hit("two"))
    assert not writing.problem
    await writing.stop()
    assert await left_over(tmp_path / "journal") == ["two"]


async def test_files_stay_small_enough_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 200)
    writing = Journal(tmp_path)
    writing.start()
    hits = [a_hit(f"{number}") for number in range(6)]
    for hit in hits:
        assert await writing.keep(hit)
    assert len(files(tmp_path)) > 2
    writing.let_go(hits)
    assert len(files(tmp_path)) == 1
    await writing.stop()
    assert not files(tmp_path)


async def test_what_is_left_is_read_once_and_apart_from_what_is_held(tmp_path: Path) -> None:
    writing = Journal(tmp_path)
    writing.start()
    held, left = a_hit("held"), [a_hit("left 1"), a_hit("left 2"), a_hit("done already")]
    await writing.keep(held)
    writing.leaves = True
    for hit in left:
        await writing.keep(hit)
    assert [hit.is_left for hit in (held, *left)] == [False, True, True, True]
    writing.let_go([left[2]])
    assert [hit.event_id for hit in await writing.load()] == ["left 1", "left 2"]
    assert not writing.has_left
    assert await writing.load() == []
    await writing.stop()
    assert await left_over(tmp_path) == ["held", "left 1", "left 2"]
