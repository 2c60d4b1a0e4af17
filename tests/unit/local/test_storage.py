"""The mailbox's messages on disk."""

import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.mailbox.storage import Storage, decode


def _append(storage: Storage, raw: bytes = b"Subject: x\r\n\r\nbody", subject: str = "x") -> str:
    return storage.append("a@x.test", ["b@x.test"], "2026-11-24T15:00:00.000Z", subject, raw)


def test_messages_are_there_again_after_a_restart_newest_first(tmp_path: Path) -> None:
    storage = Storage(tmp_path, segment_bytes=300)
    for number in range(20):
        _append(storage, b"\n{}\n%d" % number)
    again = Storage(tmp_path, segment_bytes=300)
    assert [decode(summary).id for summary in again.newest_first()] == [str(n) for n in range(20, 0, -1)]
    assert [again.raw(str(n + 1)) for n in range(20)] == [b"\n{}\n%d" % n for n in range(20)]
    assert _append(again) == "21"


@pytest.mark.parametrize("kept", [1, 20, 100, 130])
def test_a_message_written_by_half_is_cut_off_and_the_next_one_stands(tmp_path: Path, kept: int) -> None:
    storage = Storage(tmp_path)
    _append(storage, b"whole")
    segment = next(tmp_path.iterdir())
    whole = segment.stat().st_size
    _append(storage, b"half" * 10)
    assert segment.stat().st_size > whole + kept
    with segment.open("r+b") as file:
        file.truncate(whole + kept)
    again = Storage(tmp_path)
    assert len(again) == 1
    assert _append(again, b"next") == "2"
    assert Storage(tmp_path).raw("2") == b"next"


def test_deleting_all_keeps_the_numbering_also_over_a_restart(tmp_path: Path) -> None:
    storage = Storage(tmp_path, segment_bytes=300)
    for _ in range(10):
        _append(storage)
    storage.clear()
    assert list(storage.newest_first()) == []
    assert storage.raw("3") is None
    again = Storage(tmp_path)
    assert len(again) == 0
    assert _append(again) == "11"


def test_deleting_all_twice_keeps_the_mailbox_working(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.clear()
    storage.clear()
    assert _append(storage) == "1"
    assert Storage(tmp_path).raw("1") == b"Subject: x\r\n\r\nbody"


def test_a_list_under_way_survives_the_deletion_of_what_it_lists(tmp_path: Path) -> None:
    storage = Storage(tmp_path, segment_bytes=300)
    for _ in range(10):
        _append(storage)
    listing = storage.newest_first()
    seen = list(islice(listing, 2))
    storage.clear()
    assert len(seen + list(listing)) == 10


@pytest.mark.parametrize("number", ["0", "2", "-1", "x", "", "1" * 40, "١"])
def test_an_id_that_was_never_given_finds_nothing(tmp_path: Path, number: str) -> None:
    storage = Storage(tmp_path)
    _append(storage)
    assert storage.raw(number) is None
    assert storage.summary(number) is None


@given(raw=st.binary(max_size=300), subject=st.text(max_size=40).filter(lambda s: s.isprintable()))
def test_any_bytes_come_back_as_they_were(
    raw: bytes, subject: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("mail")
    number = _append(Storage(directory), raw, subject)
    again = Storage(directory)
    assert again.raw(number) == raw
    summary = again.summary(number)
    assert summary is not None
    assert decode(summary).subject == subject


def test_memory_does_not_grow_with_the_mail(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    _append(storage)
    tracemalloc.start()
    for _ in range(20_000):
        _append(storage, b"x" * 1000)
    listed = sum(1 for _ in storage.newest_first())
    grown, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert listed == 20_001
    assert grown < 20_000 * 64
    assert peak < 20_000 * 128
