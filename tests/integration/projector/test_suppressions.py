"""What the bucket says last of an address is what its row says, whatever came in which order; a rebuild says the same."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from services.projector import app, dump, suppressions
from services.projector.settings import Settings
from services.projector.suppressions import rows
from shared.events import record
from shared.runtime import keyring, log
from shared.runtime.suppressions import Entry, Suppressions
from tests.controls.eventually import eventually

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HASH = "ab" * 32


@pytest.fixture
async def emails(nats_url: str) -> AsyncIterator[log.Log]:
    client = await log.connect(nats_url, "test")
    opened = log.Log(client)
    await opened.open()
    yield opened
    await client.close()


@pytest.fixture
async def lists(emails: log.Log, tmp_path: Path) -> Suppressions:
    keyring.create(tmp_path / "keyring")
    opened = Suppressions(emails.client, keyring.load(tmp_path / "keyring"))
    await opened.open()
    return opened


async def listed(pool: asyncpg.Pool) -> list[tuple[Any, ...]]:
    found = await pool.fetch(
        "SELECT workspace, email, address, reason, detail FROM projector.suppressions "
        "WHERE reason IS NOT NULL ORDER BY workspace, email"
    )
    return [tuple(row) for row in found]


def put(sequence: int, email: str | None = "Ann@Bücher.example", **fields: Any) -> record.Record:
    values = {"reason": "bounce", "created_at": NOW, **fields}
    data = msgspec.json.encode(Entry(email=email, **values))
    return suppressions.read(f"$KV.suppressions.acme.{HASH}", None, data, sequence)


def removed(sequence: int) -> record.Record:
    return suppressions.read(f"$KV.suppressions.acme.{HASH}", {"KV-Operation": "DEL"}, b"", sequence)


async def write(pool: asyncpg.Pool, emails: log.Log, *records: record.Record) -> None:
    await suppressions.Lister(pool, emails.client)._write(rows(records))


async def test_entries_are_listed_by_the_form_addresses_are_compared_in(
    wanted: Settings, pool: asyncpg.Pool, lists: Suppressions
) -> None:
    async with app.assemble(wanted):
        await lists.add("acme", "Ann@Bücher.example", "bounce", "550 5.1.1 gone\0")
        await lists.add("other", "bob@world.test", "manual")
        await lists.add("other", "carol@world.test", "manual")
        await lists.remove("other", "carol@world.test")

        async def all_there() -> bool:
            return len(await listed(pool)) == 2

        await eventually(all_there)
        assert await listed(pool) == [
            ("acme", "Ann@Bücher.example", "ann@xn--bcher-kva.example", "bounce", "550 5.1.1 gone\ufffd"),
            ("other", "bob@world.test", "bob@world.test", "manual", None),
        ]

        async def complete() -> bool:
            at = await pool.fetchval("SELECT projected_at FROM projector.suppressions_progress")
            return bool((datetime.now(UTC) - at).total_seconds() < 5)

        await eventually(complete)


async def test_the_highest_sequence_wins_in_any_order(pool: asyncpg.Pool, emails: log.Log) -> None:
    await write(pool, emails, put(5, detail="new"), put(3, detail="old"))
    await write(pool, emails, put(4, detail="late"))
    assert [row[4] for row in await listed(pool)] == ["new"]


async def test_a_late_entry_does_not_bring_back_what_was_removed(pool: asyncpg.Pool, emails: log.Log) -> None:
    await write(pool, emails, removed(7))
    await write(pool, emails, put(6))
    assert await listed(pool) == []
    await write(pool, emails, put(8))
    assert len(await listed(pool)) == 1


async def test_an_erased_address_keeps_suppressing_without_a_name(
    pool: asyncpg.Pool, emails: log.Log
) -> None:
    await write(pool, emails, put(1))
    await write(pool, emails, put(2, email=None))
    assert await listed(pool) == [("acme", None, None, "bounce", None)]


@pytest.mark.parametrize(
    ("subject", "data"),
    [
        ("$KV.suppressions.acme.nothex", b"{}"),
        (f"$KV.suppressions.acme.{HASH}", b"{}"),
        (f"$KV.suppressions.acme.{HASH}", b"\xff"),
        (f"$KV.suppressions.acme.{HASH}.more", b"{}"),
    ],
)
def test_what_is_no_entry_is_set_aside(subject: str, data: bytes) -> None:
    with pytest.raises(record.Undecodable):
        suppressions.read(subject, None, data, 1)


async def test_a_rebuild_makes_the_same_rows_of_the_bucket_alone(
    wanted: Settings, pool: asyncpg.Pool, lists: Suppressions, emails: log.Log
) -> None:
    entries = [Entry(email=f"u{n}@world.test", reason="bounce", created_at=NOW) for n in range(2500)]
    async with app.assemble(wanted):
        for start in range(0, 2500, 500):
            await lists.add_all("acme", entries[start : start + 500])
        await lists.remove("acme", "u7@world.test")

        async def all_there() -> bool:
            return len(await listed(pool)) == 2499

        await eventually(all_there, within=20)
    before = await dump.digest(pool)
    await pool.execute("DELETE FROM projector.suppressions WHERE email LIKE 'u1%'")
    await pool.execute("UPDATE projector.suppressions SET reason = 'manual' WHERE email LIKE 'u2%'")
    await write(pool, emails, put(1))  # a row the bucket knows nothing of
    assert await dump.digest(pool) != before
    assert await suppressions.rebuild(pool, emails) == 2500
    assert await dump.digest(pool) == before


async def test_a_rebuild_of_one_workspace_leaves_the_others_alone(
    pool: asyncpg.Pool, lists: Suppressions, emails: log.Log
) -> None:
    await lists.add("acme", "ann@world.test", "manual")
    await lists.add("other", "bob@world.test", "manual")
    await suppressions.rebuild(pool, emails, "acme")
    assert [row[0] for row in await listed(pool)] == ["acme"]
