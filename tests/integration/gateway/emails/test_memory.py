"""However large the files, the gateway's memory stays what it was."""

import asyncio
from collections.abc import AsyncIterator, Callable

import psutil

from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Door
from tests.integration.gateway.emails.forms import file, form

MIB = 1024 * 1024


async def _files(count: int, size: int, look: Callable[[], None]) -> AsyncIterator[bytes]:
    head, *tails = form(*[file(f"{n}.bin", b"<DATA>") for n in range(count)]).split(b"<DATA>")
    piece = bytes(range(256)) * 4096
    yield head
    for tail in tails:
        for _ in range(size // len(piece)):
            yield piece
            look()
        yield tail


async def test_ten_files_of_50_mib_grow_the_gateway_by_20_mib_at_most(door: Door, house: House) -> None:
    process = psutil.Process(house.pid)
    seen: list[int] = []

    def look() -> None:
        seen.append(process.memory_info().rss)

    assert (await forms.post(door, _files(1, MIB, look))).status == 202
    before = process.memory_info().rss
    answer = await forms.post(door, _files(10, 50 * MIB, look))
    assert answer.status == 202
    grown = max(seen) - before
    print(f"RSS {before // MIB} MiB, grown by {grown / MIB:.1f} MiB")
    assert grown <= 20 * MIB
    shown = (await door.show(answer.data["id"])).data
    path = f"{door.url}/api/v1/emails/{shown['id']}/attachments/{shown['attachments'][9]['id']}"
    async with door.session.get(path, headers={"Authorization": f"Bearer {door.token}"}) as got:
        received = 0
        async for piece in got.content.iter_any():
            received += len(piece)
            look()
    assert received == 50 * MIB
    assert max(seen) - before <= 20 * MIB
    for kept in forms.kept(house.home / "content"):
        kept.unlink()


async def test_ten_clients_with_50_mib_at_once_grow_it_by_no_more(door: Door, house: House) -> None:
    process = psutil.Process(house.pid)
    seen: list[int] = []

    def look() -> None:
        seen.append(process.memory_info().rss)

    assert (await forms.post(door, _files(1, MIB, look))).status == 202
    before = process.memory_info().rss
    answers = await asyncio.gather(*[forms.post(door, _files(1, 50 * MIB, look)) for _ in range(10)])
    assert {answer.status for answer in answers} == {202}
    grown = max(seen) - before
    print(f"RSS {before // MIB} MiB, grown by {grown / MIB:.1f} MiB")
    assert grown <= 20 * MIB
    for kept in forms.kept(house.home / "content"):
        kept.unlink()
