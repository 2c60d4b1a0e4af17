"""One content store, wherever it keeps what it is given: in files, or in a bucket over HTTP."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.runtime import content, content_files
from shared.runtime.content import ContentMissing, ContentStore, ContentUnavailable
from tests.controls import buckets

MIB = 1024 * 1024


@pytest.fixture(params=["file", "s3"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ContentStore]:
    if request.param == "file":
        store = ContentStore((tmp_path / "a b").as_uri())
        await store.prepare()
        yield store
        return
    async with buckets.serve() as bucket:
        for name, value in bucket.environment().items():
            monkeypatch.setenv(name, value)
        yield ContentStore(f"s3://{buckets.BUCKET}/some/where")
        assert not bucket.uploads, "an upload was left open"


async def _chunks(data: bytes, size: int = 70_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[start : start + size]


async def _keys(store: ContentStore, prefix: str = "") -> set[str]:
    return {found.key async for found in store.list(prefix)}


@pytest.mark.parametrize("size", [0, 1, content.STEP, content.PART, 12 * MIB + 7])
async def test_what_is_streamed_in_comes_out_whole(store: ContentStore, size: int) -> None:
    data = os.urandom(size)
    stored = await store.put_stream("w/2026-11-24/one", _chunks(data))
    assert stored == (size, hashlib.sha256(data).hexdigest())
    assert await store.get("w/2026-11-24/one") == data
    assert [(found.key, found.size) async for found in store.list()] == [("w/2026-11-24/one", size)]


async def test_a_range_is_what_lies_between_its_ends(store: ContentStore) -> None:
    data = os.urandom(MIB)
    await store.put("w/one", data)
    for start, end in ((0, None), (0, 1), (5, 500_000), (MIB - 1, None), (MIB - 1, MIB), (7, 7)):
        got = b"".join([piece async for piece in store.stream("w/one", start, end)])
        assert got == data[start:end], (start, end)


async def test_a_large_object_comes_in_small_pieces(store: ContentStore) -> None:
    await store.put("w/one", bytes(8 * MIB))
    sizes = [len(piece) async for piece in store.stream("w/one")]
    assert sum(sizes) == 8 * MIB
    assert max(sizes) <= MIB


@pytest.mark.parametrize("size", [3, content.STEP + 3, 11 * MIB])
async def test_an_upload_that_fails_leaves_nothing_and_says_why(store: ContentStore, size: int) -> None:
    async def failing() -> AsyncIterator[bytes]:
        async for chunk in _chunks(bytes(size)):
            yield chunk
        raise LookupError("the client has left")

    with pytest.raises(LookupError, match="left"):
        await store.put_stream("w/one", failing())
    assert await _keys(store) == set()


@pytest.mark.parametrize("size", [3, content.STEP + 3, 11 * MIB])
async def test_an_upload_that_is_cancelled_leaves_nothing(store: ContentStore, size: int) -> None:
    stuck = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        async for chunk in _chunks(bytes(size)):
            yield chunk
        stuck.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(store.put_stream("w/one", endless()))
    await stuck.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await _keys(store) == set()


async def test_what_is_not_there_is_missing_and_deleting_it_is_fine(store: ContentStore) -> None:
    with pytest.raises(ContentMissing):
        await store.get("w/none")
    with pytest.raises(ContentMissing):
        await anext(store.stream("w/none", 3))
    await store.delete("w/none")


async def test_a_listing_knows_sizes_and_stays_under_its_prefix(store: ContentStore) -> None:
    for key in ("one/2026-11-24/a", "one/2026-11-25/b", "two/2026-11-24/a"):
        await store.put(key, key.encode())
    assert await _keys(store, "one") == {"one/2026-11-24/a", "one/2026-11-25/b"}
    assert await _keys(store) == {"one/2026-11-24/a", "one/2026-11-25/b", "two/2026-11-24/a"}
    await store.delete("one/2026-11-24/a")
    assert await _keys(store, "one") == {"one/2026-11-25/b"}


async def test_a_file_has_its_name_only_when_its_bytes_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a name without bytes would be an accepted email without its content."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        done.append(f"fsync {os.readlink(f'/proc/self/fd/{handle}').removeprefix(str(tmp_path))}")
        fsync(handle)

    def noted_replace(source: Path, target: Path) -> None:
        done.append(f"name {str(target).removeprefix(str(tmp_path))}")
        replace(source, target)

    store = ContentStore(tmp_path.as_uri())
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    for write in (store.put("w/day/put", b"x"), store.put_stream("w/day/streamed", _chunks(b"x"))):
        done.clear()
        await write
        name = next(place for place, what in enumerate(done) if what.startswith("name"))
        assert done[0].startswith("fsync /.unfinished/")
        assert done[name:] == [done[name], "fsync /w/day"]
    assert "fsync /w" in await _first_of_a_day(store, done)


async def _first_of_a_day(store: ContentStore, done: list[str]) -> list[str]:
    done.clear()
    await store.put("w/tomorrow/one", b"x")
    return done


async def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ContentStore(tmp_path.as_uri())

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ContentUnavailable, match="No space"):
        await store.put("w/one", b"x")
    with pytest.raises(ContentUnavailable, match="No space"):
        await store.put_stream("w/two", _chunks(b"x"))
    monkeypatch.undo()
    assert await _keys(store) == set()


async def test_a_disk_that_is_nearly_full_takes_no_more_and_gives_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ContentStore(tmp_path.as_uri())
    await store.put("w/before", b"x")
    monkeypatch.setattr(content_files, "SPARE", 1 << 60)
    monkeypatch.setattr(content_files, "SPARE_PART", 1.0)
    with pytest.raises(ContentUnavailable, match="nearly full"):
        await store.put("w/one", b"x")
    with pytest.raises(ContentUnavailable, match="nearly full"):
        await store.put_stream("w/two", _chunks(b"x"))
    assert await store.get("w/before") == b"x"
    monkeypatch.setattr(content_files, "SPARE", 0)
    await store.put("w/one", b"x")

    async def filling() -> AsyncIterator[bytes]:
        yield bytes(content.STEP)
        monkeypatch.setattr(content_files, "SPARE", 1 << 60)
        async for chunk in _chunks(bytes(9 * MIB)):
            yield chunk

    with pytest.raises(ContentUnavailable, match="nearly full"):
        await store.put_stream("w/three", filling())
    assert await _keys(store) == {"w/before", "w/one"}


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_a_bucket_that_refuses_is_unavailable(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    async with buckets.serve() as bucket:
        for name, value in bucket.environment().items():
            monkeypatch.setenv(name, value)
        store = ContentStore(f"s3://{buckets.BUCKET}")
        bucket.broken = status
        with pytest.raises(ContentUnavailable):
            await store.put("w/one", b"x")
        with pytest.raises(ContentUnavailable):
            await store.get("w/one")
        with pytest.raises(ContentUnavailable):
            await store.put_stream("w/one", _chunks(bytes(11 * MIB)))


async def test_the_place_of_a_disk_that_is_not_mounted_has_lost_nothing(tmp_path: Path) -> None:
    disk, place = tmp_path / "disk", tmp_path / "place"
    await ContentStore(place.as_uri()).prepare()
    await ContentStore(place.as_uri()).put("w/2026-11-24/one", b"x")
    place.rename(disk)
    for opened in (
        ContentStore(place.as_uri()),
        ContentStore(place.as_uri()),
    ):  # the first makes the directory
        for question in (opened.get, opened.size):
            with pytest.raises(ContentUnavailable, match="mounted"):
                await question("w/2026-11-24/one")
    await opened.put("w/2026-11-24/two", b"x")  # what comes meanwhile does not make it the store
    with pytest.raises(ContentUnavailable):
        await opened.get("w/2026-11-24/one")
    shutil.rmtree(place)
    disk.rename(place)
    assert await opened.get("w/2026-11-24/one") == b"x"
    with pytest.raises(ContentMissing):
        await opened.get("w/2026-11-24/never")


async def test_a_store_from_before_there_were_marks_goes_on(tmp_path: Path) -> None:
    await ContentStore(tmp_path.as_uri()).put("w/2026-11-24/one", b"x")
    assert not (tmp_path / content_files.MARKER).exists()
    opened = ContentStore(tmp_path.as_uri())
    with pytest.raises(ContentMissing):
        await opened.get("w/2026-11-24/never")
    await opened.delete("w/2026-11-24/one")
    with pytest.raises(ContentMissing):
        await ContentStore(tmp_path.as_uri()).get("w/2026-11-24/one")
    assert await _keys(opened) == set()


async def test_a_bucket_that_is_gone_has_lost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with buckets.serve() as bucket:
        for name, value in bucket.environment().items():
            monkeypatch.setenv(name, value)
        store = ContentStore(f"s3://{buckets.BUCKET}/some/where")
        bucket.gone = True
        for question in (store.get, store.size):
            with pytest.raises(ContentUnavailable, match="NoSuchBucket"):
                await question("w/one")


async def test_a_key_stays_inside_the_store(tmp_path: Path) -> None:
    store = ContentStore((tmp_path / "in").as_uri())
    with pytest.raises(ContentUnavailable):
        await store.put("../out", b"x")
    assert list(tmp_path.rglob("out")) == []


async def test_directories_that_a_sweep_has_removed_are_made_again(tmp_path: Path) -> None:
    store = content.ContentStore(tmp_path.as_uri())
    for body in (b"before", b"after"):
        await store.put("acme/2026-11-24/one", body)
        assert await store.get("acme/2026-11-24/one") == body
        shutil.rmtree(tmp_path / "acme")
        shutil.rmtree(tmp_path / content_files.UNFINISHED)
