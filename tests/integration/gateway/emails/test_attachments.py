"""Attachments in JSON, and every file given back as it came: whole, in ranges, or with the reason why not."""

import base64
import os
from typing import Any

import pytest

from services.gateway.emails import store
from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.conftest import House
from tests.integration.gateway.emails.door import Behind, Door, open_door

BLOB = os.urandom(600_000)


def a_file(data: bytes, filename: str = "a.txt", **more: Any) -> dict[str, Any]:
    return {"filename": filename, "content": base64.b64encode(data).decode()} | more


async def _path(door: Door, email_id: str, number: int = 0) -> str:
    shown = (await door.show(email_id)).data
    return f"/emails/{email_id}/attachments/{shown['attachments'][number]['id']}"


class Got:
    """What a download gave."""

    def __init__(self, status: int, headers: Any, data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


async def _get(door: Door, path: str, method: str = "GET", **headers: str) -> Got:
    head = {"Authorization": f"Bearer {door.token}"}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with door.session.request(method, f"{door.url}/api/v1{path}", headers=head) as answer:
        return Got(answer.status, answer.headers, await answer.read())


async def test_what_was_attached_is_given_back_bit_by_bit(door: Door) -> None:
    files = [
        a_file(BLOB, "blob.bin"),
        a_file(b"\r\n.\r\n", "ž-naïve.txt", content_type="text/plain"),
        a_file(b"", "e"),
    ]
    sent = await door.sent(attachments=files)
    for number, (data, kind) in enumerate(
        [(BLOB, "application/octet-stream"), (b"\r\n.\r\n", "text/plain"), (b"", "application/octet-stream")]
    ):
        got = await _get(door, await _path(door, sent["id"], number))
        assert (got.status, got.data, got.headers["Content-Type"]) == (200, data, kind)
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Accept-Ranges"] == "bytes"
        assert got.headers["Content-Disposition"].startswith("attachment; ")
    got = await _get(door, await _path(door, sent["id"], 1))
    assert got.headers["Content-Disposition"] == (
        "attachment; filename=\"_-na_ve.txt\"; filename*=UTF-8''%C5%BE-na%C3%AFve.txt"
    )


async def test_a_range_of_a_file_is_given(door: Door) -> None:
    path = await _path(door, (await door.sent(attachments=[a_file(BLOB)]))["id"])
    for asked, start, end in (("0-9", 0, 10), ("300000-", 300_000, 600_000), ("-5", 599_995, 600_000)):
        got = await _get(door, path, Range=f"bytes={asked}")
        assert (got.status, got.data) == (206, BLOB[start:end])
        assert got.headers["Content-Range"] == f"bytes {start}-{end - 1}/600000"
    got = await _get(door, path, Range="bytes=600000-")
    assert (got.status, got.headers["Content-Range"]) == (416, "bytes */600000")
    assert (await _get(door, path, Range="bytes=0-1,5-6")).data == BLOB
    tag = (await _get(door, path)).headers["ETag"]
    assert (await _get(door, path, Range="bytes=0-1", If_Range=tag)).status == 206
    assert (await _get(door, path, Range="bytes=0-1", If_Range='"another"')).data == BLOB


async def test_head_tells_of_a_file_without_its_bytes(door: Door) -> None:
    path = await _path(door, (await door.sent(attachments=[a_file(BLOB)]))["id"])
    got = await _get(door, path, "HEAD")
    assert (got.status, got.headers["Content-Length"], got.data) == (200, "600000", b"")
    got = await _get(door, path, "HEAD", Range="bytes=0-9")
    assert (got.status, got.headers["Content-Length"], got.data) == (206, "10", b"")


async def test_a_file_is_found_through_its_own_email_and_workspace_only(
    door: Door, behind: Behind, house: House
) -> None:
    path = await _path(door, (await door.sent(attachments=[a_file(BLOB)]))["id"])
    other = (await door.sent(attachments=[a_file(b"x")]))["id"]
    mixed = f"/emails/{other}/attachments/{path.rpartition('/')[2]}"
    assert (await _get(door, mixed)).status == 404
    own = behind.name
    behind.name = f"{own}-other"
    async with open_door(behind, house.url) as stranger:
        assert (await _get(stranger, path)).status == 404
    behind.name = own
    assert (await _get(door, path)).status == 200


async def test_a_file_that_is_not_there_says_whether_it_expired_or_is_lost(
    door: Door, behind: Behind, house: House
) -> None:
    sent = await door.sent(attachments=[a_file(BLOB)])
    path = await _path(door, sent["id"])
    await behind.project(sent["id"])
    [kept] = [one for one in forms.kept(house.home / "content") if one.name == path.rpartition("/")[2]]
    kept.unlink()
    answer = await door.ask("GET", path)
    assert (answer.status, answer.error["details"][0]["message"]) == (404, "content_lost")
    await behind.pool.execute("DELETE FROM projector.contents WHERE email_id = $1", sent["id"])
    answer = await door.ask("GET", path)
    assert (answer.status, answer.error["details"][0]["message"]) == (404, "content_expired")
    assert await store.find_content(behind.pool, behind.name, sent["id"]) is None
    assert (await door.show(sent["id"])).data["attachments"][0]["sizeBytes"] == 600_000


async def test_a_damaged_file_is_never_given_to_its_end(door: Door, house: House) -> None:
    path = await _path(door, (await door.sent(attachments=[a_file(BLOB)]))["id"])
    [kept] = [one for one in forms.kept(house.home / "content") if one.name == path.rpartition("/")[2]]
    kept.write_bytes(BLOB[:-1] + bytes([BLOB[-1] ^ 1]))
    with pytest.raises(Exception, match=r"(?i)payload|disconnect|reset"):
        await _get(door, path)


async def test_a_refused_email_keeps_no_files(door: Door, house: House) -> None:
    def mine() -> int:
        return len([one for one in forms.kept(house.home / "content") if one.stat().st_size == 1234])

    data = os.urandom(1234)
    assert (await door.send(attachments=[a_file(data)], **{"from": "eve@else.test"})).status == 422
    assert (await door.send(attachments=[a_file(data), {"filename": "x", "content": "*"}])).status == 400
    assert mine() == 0
    await door.sent("k", attachments=[a_file(data)])
    assert (await door.send("k", attachments=[a_file(data)])).headers["Idempotent-Replayed"] == "true"
    assert (await door.send("k", attachments=[a_file(data[::-1])])).status == 409
    assert mine() == 1


async def test_garbage_among_files_is_refused_with_its_path(door: Door) -> None:
    answer = await door.send(attachments=[a_file(b"x"), a_file(b"y"), {"filename": "c", "content": "%%%"}])
    assert (answer.status, answer.paths) == (400, ["$.attachments[2].content"])
    assert (await door.send(attachments=[a_file(b"x")] * 11)).status == 413
