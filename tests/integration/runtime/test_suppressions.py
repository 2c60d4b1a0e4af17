"""The suppression lists on a real broker: pages, races, rotation, and a bucket that cannot be asked."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.aio.client import Client

from shared.runtime import bulk, keyring
from shared.runtime.log import BrokerUnavailable
from shared.runtime.suppressions import HASH_KEY, STREAM, Entry, Suppressions

NOW = datetime.now(UTC)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    keyring.create(tmp_path / "keyring")
    return tmp_path / "keyring"


async def opened(client: Client, ring: Path) -> Suppressions:
    lists = Suppressions(client, keyring.load(ring))
    await lists.open()
    return lists


def entries(count: int, start: int = 0) -> list[Entry]:
    return [
        Entry(email=f"user{n}@world.test", reason="bounce", created_at=NOW)
        for n in range(start, start + count)
    ]


async def test_more_addresses_than_one_question_holds_are_all_looked_up(client: Client, ring: Path) -> None:
    lists = await opened(client, ring)
    for start in range(0, 2500, 500):
        assert await lists.add_all("acme", entries(500, start)) == [True] * 500
    asked = [f"user{n}@world.test" for n in range(0, 5000, 2)]
    assert set(await lists.find("acme", asked)) == {f"user{n}@world.test" for n in range(0, 2500, 2)}


async def test_a_batch_tells_new_from_known_and_one_twice_in_it_is_new_once(
    client: Client, ring: Path
) -> None:
    lists = await opened(client, ring)
    await lists.add("acme", "user1@world.test", "complaint")
    await lists.add("acme", "user2@world.test", "manual")
    await lists.remove("acme", "user2@world.test")
    new = await lists.add_all("acme", [*entries(3), *entries(1)])
    assert new == [True, False, True, False]
    found = await lists.find("acme", ["user1@world.test", "user2@world.test"])
    assert [found[f"user{n}@world.test"].reason for n in (1, 2)] == ["complaint", "bounce"]


async def test_writers_of_the_same_entries_at_once_all_end_and_each_is_new_to_one(
    client: Client, ring: Path
) -> None:
    lists = await opened(client, ring)
    answers = await asyncio.gather(*(lists.add_all("acme", entries(50)) for _ in range(4)))
    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 50


async def test_a_hundred_adds_at_once_make_one_entry(client: Client, ring: Path) -> None:
    lists = await opened(client, ring)
    answers = await asyncio.gather(
        *(lists.add("acme", "ann@world.test", "manual", str(n)) for n in range(100))
    )
    assert sum(new for _, new in answers) == 1
    assert len({entry.detail for entry, _ in answers}) == 1


async def test_processes_that_start_together_agree_on_one_hash_key(client: Client, ring: Path) -> None:
    many = await asyncio.gather(*(opened(client, ring) for _ in range(8)))
    assert len({lists.hashed("acme", "ann@world.test") for lists in many}) == 1


async def test_a_rotated_keyring_knows_the_same_addresses_also_without_its_first_key(
    client: Client, ring: Path
) -> None:
    await (await opened(client, ring)).add("acme", "ann@world.test", "manual")
    keyring.rotate(ring)
    assert await (await opened(client, ring)).find("acme", ["ann@world.test"])
    without_k1 = keyring.Keyring(keyring._File(current="k2", keys={"k2": _keys(ring)["k2"]}))
    lists = Suppressions(client, without_k1)
    await lists.open()
    assert await lists.find("acme", ["ann@world.test"])


async def test_a_foreign_keyring_is_refused_before_anybody_is_asked_about(
    client: Client, ring: Path, tmp_path: Path
) -> None:
    await opened(client, ring)
    keyring.create(tmp_path / "foreign")
    with pytest.raises(keyring.KeyringError):
        await opened(client, tmp_path / "foreign")


async def test_the_bucket_holds_the_hash_key_sealed_only(client: Client, ring: Path) -> None:
    lists = await opened(client, ring)
    stored = (await client.jetstream().get_msg(STREAM, subject=HASH_KEY)).data or b""
    assert stored.startswith(b"v1.k1.")
    assert lists._key not in stored


async def test_an_emptied_bucket_is_not_taken_for_one_that_suppresses_nobody(
    client: Client, ring: Path
) -> None:
    lists = await opened(client, ring)
    await client.jetstream().purge_stream(STREAM)
    with pytest.raises(BrokerUnavailable):
        await lists.find("acme", ["ann@world.test"])


async def test_a_bucket_that_is_not_there_says_nothing_about_anybody(client: Client, ring: Path) -> None:
    lists = await opened(client, ring)
    await client.jetstream().delete_stream(STREAM)
    with pytest.raises(BrokerUnavailable):
        await lists.find("acme", ["ann@world.test"])
    with pytest.raises(BrokerUnavailable):
        await lists.add("acme", "ann@world.test", "manual")
    with pytest.raises(BrokerUnavailable):
        await lists.add_all("acme", entries(2))


async def test_an_answer_older_than_what_the_leader_has_is_asked_for_again(
    client: Client, ring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = await opened(client, ring)
    latests = lists._latests
    latests._replicas = 3  # from now on the leader is asked how far it is
    ask, asked = latests._ask, []

    async def behind(subjects: object) -> tuple[int, dict[str, object]]:
        asked.append(subjects)
        return (0, {}) if len(asked) < 3 else await ask(subjects)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(latests, "_ask", behind)
    await client.jetstream().publish(  # past `lists`, which would ask itself
        f"$KV.suppressions.acme.{lists.hashed('acme', 'ann@world.test')}",
        b'{"email":"ann@world.test","reason":"manual","created_at":"2030-01-01T00:00:00Z"}',
    )
    assert await lists.find("acme", ["ann@world.test"])
    assert len(asked) == 3


async def test_a_batch_that_is_overtaken_stores_nothing(client: Client, ring: Path) -> None:
    lists = await opened(client, ring)
    subjects = [f"$KV.suppressions.acme.{letter * 64}" for letter in "ab"]
    await client.jetstream().publish(subjects[1], b"x")
    with pytest.raises(bulk.Overtaken):
        await bulk.write(client, lists._inbox, [bulk.Item(one, b"y", 0) for one in subjects])
    assert set(await lists._latests.of(subjects)) == {subjects[1]}


def _keys(ring: Path) -> dict[str, bytes]:
    return keyring.load(ring)._keys


async def test_an_entry_that_cannot_be_read_suppresses_its_own_address_and_fails_nobody_elses(
    client: Client, ring: Path
) -> None:
    lists = await opened(client, ring)
    for email in ("poison@world.test", "ann@world.test"):
        await lists.add("acme", email, "manual")
    subject = f"$KV.suppressions.acme.{lists.hashed('acme', 'poison@world.test')}"
    await client.jetstream().publish(subject, b'{"reason": "of a later version"}')
    found = await lists.find("acme", ["poison@world.test", "ann@world.test", "bob@world.test"])
    assert set(found) == {"poison@world.test", "ann@world.test"}
