"""Forms that are refused: at once, with the reason, and nothing of them stays."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.controls.eventually import eventually
from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Door
from tests.integration.gateway.emails.forms import file, form, text

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _nothing_before(house: House) -> None:
    forms.empty(house.home / "content")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("text/plain", 415),
        ("multipart/form-data", 400),
        ("multipart/mixed; boundary=a", 415),
    ],
)
async def test_another_body_is_refused_unread(door: Door, kind: str, status: int) -> None:
    assert (await forms.post(door, form(), Content_Type=kind)).status == status


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_compressed_form_is_refused(door: Door, encoding: str) -> None:
    assert (await forms.post(door, b"\x1f\x8b" + b"\0" * 500, Content_Encoding=encoding)).status == 415


async def test_a_form_needs_the_permission_before_it_is_read(door: Door, house: House) -> None:
    door.token = "sk_unknown"
    async with forms.connected(door) as wire:
        await wire.head("Content-Length: 1000000")
        assert (await wire.answer())[0] == 401


REFUSED = {
    "eleven files": (413, [form(*[file(f"{n}.txt", b"x" * 1000) for n in range(11)])]),
    "a million parts": (413, [form(*[text("tags", "x")] * 1000)] * 300),
    "a million files without names": (413, [form(*[file("", b"")] * 1000)] * 300),
    "much text": (413, [form(text("html", "x" * (MIB + 1)))]),
    "a long head": (413, [form(file("a.txt", b"x"), text("a", "x", "X: " + "y" * 9000))]),
    "no last boundary": (400, [form(file("a.txt", b"x" * 1000), ending=b"")]),
    "a part without end": (400, [form(file("a.txt", b"x" * 100_000))[:-50]]),
    "a compressed part": (400, [form(file("a.txt", b"x"), file("b.gz", b"x", "Content-Encoding: gzip"))]),
    "a part in base64": (
        400,
        [form(file("a.txt", b"x"), file("b", b"eA==", "Content-Transfer-Encoding: base64"))],
    ),
    "another boundary": (400, [form(file("a.txt", b"x")).replace(b"Xmark", b"Ymark")]),
    "more behind the end": (400, [form(file("a.txt", b"x")) + b"x" * 5000]),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_form_that_breaks_a_rule_is_refused_at_once_and_leaves_nothing(
    door: Door, house: House, what: str
) -> None:
    status, pieces = REFUSED[what]
    started = time.perf_counter()
    async with forms.connected(door) as wire:
        await wire.head(f"Content-Length: {sum(map(len, pieces))}")
        sending = asyncio.create_task(wire.send_all(pieces))
        answer, body = await wire.answer()
        took = time.perf_counter() - started
        await sending
    assert (answer, body["success"]) == (status, False), body
    assert took < 1
    assert await eventually(lambda: not forms.kept(house.home / "content"), within=2)


@pytest.mark.parametrize(
    "lines", [["Transfer-Encoding: chunked", "Content-Length: 5"], ["Content-Length: 5", "Content-Length: 6"]]
)
async def test_a_length_that_two_servers_read_differently_is_refused(door: Door, lines: list[str]) -> None:
    async with forms.connected(door) as wire:
        await wire.head(*lines)
        assert (await wire.answer())[0] == 400


async def test_a_length_that_promises_more_than_comes_ends_with_the_last_boundary(
    door: Door, house: House
) -> None:
    body = form(file("a.txt", b"x" * 10_000))
    started = time.perf_counter()
    async with forms.connected(door) as wire:
        await wire.head(f"Content-Length: {len(body) + 100_000}")
        await wire.send(body)
        status, _ = await wire.answer()
    assert status == 400
    assert time.perf_counter() - started < 1
    assert not forms.kept(house.home / "content")


async def test_a_form_announced_larger_than_any_may_be_is_refused_unread(door: Door) -> None:
    async with forms.connected(door) as wire:
        await wire.head(f"Content-Length: {600 * MIB}")
        assert (await wire.answer())[0] == 413


async def test_51_mib_are_refused_as_they_pass_and_50_are_taken(door: Door, house: House) -> None:
    async def whole(size: int) -> AsyncIterator[bytes]:
        head, _, tail = form(file("a.bin", b"DATA")).partition(b"DATA")
        yield head
        for _ in range(size // MIB):
            yield b"x" * MIB
        yield tail

    assert (await forms.post(door, whole(50 * MIB))).status == 202
    assert len(forms.kept(house.home / "content")) == 1
    answer = await forms.post(door, whole(51 * MIB))
    assert (answer.status, answer.paths) == (413, ["$.attachments[0].content"])
    assert await eventually(lambda: len(forms.kept(house.home / "content")) == 1, within=2)


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(door: Door, house: House) -> None:
    body = form(file("a.bin", b"x" * 2 * MIB), file("b.bin", b"y" * 2 * MIB))
    async with forms.connected(door) as wire:
        await wire.head(f"Content-Length: {len(body)}")
        await wire.send(body[: 3 * MIB])
        assert await eventually(lambda: len(forms.kept(house.home / "content")) == 2, within=5)
        wire.leave()
    assert await eventually(lambda: not forms.kept(house.home / "content"), within=5)


async def test_a_client_that_stops_is_cut_off_and_leaves_nothing(door: Door, house: House) -> None:
    body = form(file("a.bin", b"x" * MIB))
    async with forms.connected(door) as wire:
        await wire.head(f"Content-Length: {len(body)}")
        await wire.send(body[:-100])
        status, refusal = await wire.answer()
    assert (status, refusal["error"]["code"]) == (408, "REQUEST_TIMEOUT")
    assert await eventually(lambda: not forms.kept(house.home / "content"), within=2)
