"""An accepted email opened as its message, the files in a store on disk: what is streamed is what was announced."""

import asyncio
import email
import email.policy
import os
from collections.abc import AsyncGenerator
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from shared.events import email as email_
from shared.mail import dkim
from shared.runtime import content, message
from shared.runtime.content import ContentStore, ContentUnavailable
from shared.runtime.message import ContentLost, Message, open_message
from tests.controls.attachments import LONE_DOT, a_store, damage, remove, stored
from tests.controls.emails import an_email, an_origin

BODIES = email_.Content(text="Hello\r\n.\r\n", html="<p>Hello <img src='cid:logo@x'></p>")


async def whole(opened: Message) -> bytes:
    return b"".join([piece async for piece in opened.pieces()])


async def collect(opened: Message, came: list[bytes]) -> None:
    async for piece in opened.pieces():
        came.append(piece)


async def files_of(opened: Message) -> list[tuple[str | None, bytes]]:
    raw = await whole(opened)
    assert len(raw) == opened.size
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    leaves = [part for part in parsed.walk() if not part.is_multipart()]
    found = [(part.get_filename(), part.get_payload(decode=True)) for part in leaves if part.get_filename()]
    return [(name, data) for name, data in found if isinstance(data, bytes)]


@pytest.mark.parametrize("signed", [False, True])
async def test_every_file_comes_bit_by_bit_and_as_long_as_was_said(tmp_path: Path, signed: bool) -> None:
    store = a_store(tmp_path)
    contents = {
        "ž-naïve.txt": LONE_DOT,
        "random.bin": os.urandom(3_000_001),
        "empty": b"",
        "exact.bin": os.urandom(content.PIECE),
        "logo.png": b"png",
    }
    made = [await stored(store, data, name, content_type="text/plain") for name, data in contents.items()]
    made[-1] = await stored(store, b"png", "logo.png", content_id="logo@x", disposition="inline")
    accepted = an_email(attachments=tuple(made))
    opened = open_message(accepted, BODIES, store, an_origin(), signer=a_signer() if signed else None)
    assert opened.whole is None
    assert not opened.needs_8bit
    assert sorted(await files_of(opened)) == sorted(contents.items())


def a_signer() -> dkim.Signer:
    keys = [dkim.Key(dkim.new_private_key(kind), kind) for kind in ("rsa", "ed25519")]
    return dkim.Signer("sendlog.test", keys)


async def test_two_openings_give_equal_bytes_and_the_signature_covers_the_streamed_body(
    tmp_path: Path,
) -> None:
    store, signer = a_store(tmp_path), a_signer()
    accepted = an_email(attachments=(await stored(store, os.urandom(600_000)),))
    first = await whole(open_message(accepted, BODIES, store, an_origin(), signer=signer))
    assert first == await whole(open_message(accepted, BODIES, store, an_origin(), signer=signer))
    unsigned = await whole(open_message(accepted, BODIES, store, an_origin()))
    assert first.endswith(unsigned)
    header, _, body = unsigned.partition(b"\r\n\r\n")
    expected = dkim.BodyHash()
    expected.update(body)
    fields = signer.fields(header + b"\r\n", expected.digest(), accepted.date)
    assert first == b"".join(fields) + unsigned


async def test_without_files_the_message_is_in_memory_signed_or_not(tmp_path: Path) -> None:
    store, signer = a_store(tmp_path), a_signer()
    accepted = an_email()
    plain = open_message(accepted, BODIES, store, an_origin())
    signed = open_message(accepted, BODIES, store, an_origin(), signer=signer)
    assert plain.whole is not None
    assert signed.whole is not None
    assert signed.whole.startswith(b"DKIM-Signature: ")
    assert signed.whole.endswith(plain.whole)
    assert [plain.whole, signed.whole] == [await whole(plain), await whole(signed)]
    assert (plain.size, signed.size) == (len(plain.whole), len(signed.whole))


@pytest.mark.parametrize("where", [0, 300_000, 599_999])
async def test_a_damaged_file_never_comes_to_its_last_piece(tmp_path: Path, where: int) -> None:
    store = a_store(tmp_path)
    file = await stored(store, os.urandom(600_000))
    damage(tmp_path, file, where)
    opened = open_message(an_email(attachments=(file,)), BODIES, store, an_origin())
    came: list[bytes] = []
    with pytest.raises(ContentLost, match="damaged"):
        await collect(opened, came)
    assert not b"".join(came).endswith(b"--\r\n")


@pytest.mark.parametrize("change", [-1, 1, 100_000])
async def test_a_file_of_another_length_is_damaged_and_found_without_reading_it(
    tmp_path: Path, change: int
) -> None:
    store = a_store(tmp_path)
    file = await stored(store, b"x" * 200_000)
    accepted = an_email(attachments=(file,))
    await message.check_files(accepted, store)
    await store.put(file.key, b"x" * (200_000 + change))
    with pytest.raises(ContentLost):
        await whole(open_message(accepted, BODIES, store, an_origin()))
    with pytest.raises(ContentLost):
        await message.check_files(accepted, store)


async def test_a_missing_file_is_lost(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    file = await stored(store, b"x")
    accepted = an_email(attachments=(file,))
    remove(tmp_path, file)
    with pytest.raises(ContentLost, match="missing"):
        await whole(open_message(accepted, BODIES, store, an_origin()))
    with pytest.raises(ContentLost, match="missing"):
        await message.check_files(accepted, store)


async def test_a_store_that_does_not_answer_is_unavailable_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(ContentStore):
        async def stream(
            self, key: str, start: int = 0, end: int | None = None
        ) -> AsyncGenerator[bytes, None]:
            await asyncio.Event().wait()
            yield b""

        async def size(self, key: str) -> int:
            return await asyncio.Event().wait()

        async def get(self, key: str) -> bytes:
            await asyncio.Event().wait()
            return b""

    monkeypatch.setattr(message, "STORE_WITHIN", 0.05)
    silent = Silent(f"file://{tmp_path}")
    accepted = an_email(
        attachments=(await stored(a_store(tmp_path), b"x"),), body=email_.Body(key="k", size=1)
    )
    async with asyncio.timeout(5):
        with pytest.raises(ContentUnavailable):
            await whole(open_message(accepted, BODIES, silent, an_origin()))
        with pytest.raises(ContentUnavailable):
            await message.check_files(accepted, silent)
        with pytest.raises(ContentUnavailable):
            await message.content_of(accepted, silent)


async def test_a_store_that_is_not_there_is_unavailable_and_nothing_is_lost(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    accepted = an_email(attachments=(await stored(store, b"x"),))
    (tmp_path / "content").rename(tmp_path / "unmounted")
    with pytest.raises(ContentUnavailable):
        await message.check_files(accepted, store)
    with pytest.raises(ContentUnavailable):
        await whole(open_message(accepted, BODIES, store, an_origin()))
    (tmp_path / "unmounted").rename(tmp_path / "content")
    assert await whole(open_message(accepted, BODIES, store, an_origin()))


async def test_leaving_midway_closes_the_file(tmp_path: Path) -> None:
    closed = []

    class Watched(ContentStore):
        async def stream(
            self, key: str, start: int = 0, end: int | None = None
        ) -> AsyncGenerator[bytes, None]:
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                closed.append(key)

    file = await stored(a_store(tmp_path), b"", size=10_000_000)
    pieces = open_message(
        an_email(attachments=(file,)), BODIES, Watched(f"file://{tmp_path}"), an_origin()
    ).pieces()
    await anext(pieces)
    await anext(pieces)
    await pieces.aclose()
    assert closed == [file.key]


async def test_only_the_announced_length_of_a_longer_file_is_ever_yielded(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    file = await stored(store, b"x" * 100)
    await store.put(file.key, b"x" * 10_000_000)
    opened = open_message(an_email(attachments=(file,)), BODIES, store, an_origin())
    came: list[bytes] = []
    with pytest.raises(ContentLost, match="longer"):
        await collect(opened, came)
    assert sum(map(len, came)) < opened.size


async def test_a_signer_is_told_the_emails_own_date(tmp_path: Path) -> None:
    told: list[Any] = []

    class Noting:
        def fields(self, header_block: bytes, body_hash: bytes, at: datetime) -> list[bytes]:
            told.append((header_block, at))
            return [b"X: y\r\n"]

        def size(self, header_block: bytes, at: datetime) -> int:
            return 6

    store = a_store(tmp_path)
    for attachments in ((), (await stored(store, b"x"),)):
        accepted = an_email(attachments=attachments)
        opened = open_message(accepted, BODIES, store, an_origin(), signer=Noting())
        assert len(await whole(opened)) == opened.size
        header, at = told.pop()
        assert at == accepted.date
        assert header.startswith(b"Date: ")
        assert header.endswith(b"\r\n")
        assert b"\r\n\r\n" not in header
