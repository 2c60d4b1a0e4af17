"""Objects that come at once share what they cost, and nothing else."""

import asyncio
import os
from pathlib import Path

import pytest

from shared.runtime.content import ContentStore, ContentUnavailable


async def test_objects_that_come_at_once_are_all_on_disk_before_the_first_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        fsync(handle)
        place = os.readlink(f"/proc/self/fd/{handle}").removeprefix(str(tmp_path))
        done.append("bytes" if place.startswith("/.unfinished/") else f"names in {place}")

    def noted_replace(source: Path, target: Path) -> None:
        replace(source, target)
        done.append("name")

    store = ContentStore(tmp_path.as_uri())
    await store.put("w/day/first", b"x")
    await store.put("v/day/first", b"x")
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)

    async def put(key: str) -> None:
        await store.put(key, key.encode())
        done.append("answer")

    keys = [f"{workspace}/day/{number}" for workspace in "vw" for number in range(6)]
    await asyncio.gather(*map(put, keys))
    assert done[:24] == ["bytes"] * 12 + ["name"] * 12
    assert sorted(done[24:26]) == ["names in /v/day", "names in /w/day"]
    assert done[26:] == ["answer"] * 12
    assert [await store.get(key) for key in keys] == [key.encode() for key in keys]


@pytest.mark.parametrize("key", ["w/day/bad", "../bad"])
async def test_an_object_that_fails_leaves_those_that_came_with_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    fsync = os.fsync

    def broken(handle: int) -> None:
        if os.fstat(handle).st_size == len(b"bad bytes"):
            raise OSError(5, "Input/output error")
        fsync(handle)

    store = ContentStore((tmp_path / "in").as_uri())
    monkeypatch.setattr(os, "fsync", broken)
    bad = b"bad bytes" if key.startswith("w/") else b"bytes"
    told = await asyncio.gather(
        store.put("w/day/1", b"1"), store.put(key, bad), store.put("w/day/2", b"2"), return_exceptions=True
    )
    assert told[0] is None
    assert isinstance(told[1], ContentUnavailable)
    assert told[2] is None
    assert {found.key async for found in store.list()} == {"w/day/1", "w/day/2"}
    assert await store.get("w/day/2") == b"2"
    assert not list((tmp_path / "in" / ".unfinished").iterdir())


async def test_what_comes_while_others_are_written_is_written_after_them(tmp_path: Path) -> None:
    store = ContentStore(tmp_path.as_uri())
    early = [asyncio.create_task(store.put(f"w/early/{number}", b"x")) for number in range(40)]
    await asyncio.sleep(0)
    early[3].cancel()
    await asyncio.gather(*early, return_exceptions=True)
    async with asyncio.timeout(10):
        await store.put("w/late", b"late")
    assert await store.get("w/late") == b"late"
    assert await store.get("w/early/39") == b"x"
