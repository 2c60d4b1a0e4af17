"""A large body may take the time its bytes justify, and no longer; and it may lie in a bucket as well as on a disk."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.bootstrap import database as migrations
from services.gateway import reading
from tests.controls import buckets
from tests.controls.eventually import eventually
from tests.controls.gateways import ACCOUNT, Client, Gateways
from tests.integration.gateway.emails import forms
from tests.integration.gateway.emails.forms import file, form

KIND = {"Content_Type": forms.KIND}
PATH = "/emails/send/multipart"


@pytest.fixture
async def door(replicas: Gateways) -> Client:
    client = await replicas.replica(await replicas.key())
    assert (await client.ask("POST", "/accounts", ACCOUNT)).status == 201
    return client


async def _slowly(body: bytes, piece: int, pause: float) -> AsyncIterator[bytes]:
    for at in range(0, len(body), piece):
        yield body[at : at + piece]
        await asyncio.sleep(pause)


async def _post(client: Client, body: AsyncIterator[bytes]) -> int:
    head = {"Authorization": f"Bearer {client.token}", "Content-Type": forms.KIND}
    async with client._session.post(f"{client.url}/api/v1{PATH}", data=body, headers=head) as answer:
        return answer.status


async def test_a_slow_link_that_goes_on_is_waited_for_longer_than_any_json_body(
    door: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WHOLE_WITHIN", 0.2)
    monkeypatch.setattr(reading, "LEAST_RATE", 20_000)
    assert (
        await _post(door, _slowly(form(file("a.bin", b"x" * 40_000)), 4000, 0.1)) == 202
    )  # 40 KB/s, a second


async def test_a_large_body_that_only_dribbles_is_cut_off(
    door: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WHOLE_WITHIN", 0.2)
    monkeypatch.setattr(reading, "LEAST_RATE", 20_000)
    assert await _post(door, _slowly(form(file("a.bin", b"x" * 4000)), 100, 0.05)) == 408  # 2 KB/s


async def test_a_large_body_that_stops_is_cut_off(door: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PROGRESS_WITHIN", 0.2)
    assert await _post(door, _slowly(form(file("a.bin", b"x" * 40_000)), 20_000, 0.6)) == 408


async def test_files_lie_in_a_bucket_and_what_is_refused_leaves_nothing_there(
    replicas: Gateways, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrations.migrate(database, None)
    async with buckets.serve() as bucket:
        for name, value in bucket.environment().items():
            monkeypatch.setenv(name, value)
        url = f"s3://{buckets.BUCKET}/sendlog"
        client = await replicas.replica(await replicas.key(), content_url=url, database_url=database)
        assert (await client.ask("POST", "/accounts", ACCOUNT)).status == 201
        large, small = b"L" * (7 * 1024 * 1024), b"small"
        body = form(file("large.bin", large), file("small.txt", small))
        assert await _post(client, _slowly(body[:-40], 1 << 20, 0)) == 400
        assert (bucket.objects, bucket.uploads) == ({}, {})
        answer = await client.ask("POST", PATH, form(file("small.txt", small)), **KIND)
        assert answer.status == 202
        assert await _post(client, _slowly(body, 1 << 20, 0)) == 202
        assert sorted(map(len, bucket.objects.values())) == [5, 5, len(large)]
        shown = (await client.ask("GET", f"/emails/{answer.data['id']}")).data["attachments"][0]
        got = await client.ask("GET", f"/emails/{answer.data['id']}/attachments/{shown['id']}")
        assert (got.status, got.text) == (200, "small")
        bucket.broken = 503
        answer = await client.ask("POST", PATH, form(file("small.txt", small)), **KIND)
        assert (answer.status, answer.code) == (503, "UNAVAILABLE")
        bucket.broken = None
        assert await eventually(lambda: not bucket.uploads, within=2)
