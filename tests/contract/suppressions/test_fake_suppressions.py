"""The suppression lists in memory behave as the bucket does: one suite, run on both."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.runtime import keyring, log
from shared.runtime.suppressions import Suppressions
from tests.controls import runtime
from tests.fakes.suppressions import FakeSuppressions


@pytest.fixture
def fake_lists() -> FakeSuppressions:
    return FakeSuppressions()


@pytest.fixture
async def real_lists(clean_nats: str, tmp_path: Path) -> AsyncIterator[Suppressions]:
    await runtime.bootstrap(clean_nats)
    keyring.create(tmp_path / "keyring")
    client = await log.connect(clean_nats, "test")
    lists = Suppressions(client, keyring.load(tmp_path / "keyring"))
    await lists.open()
    yield lists
    await client.close()


@pytest.fixture(params=["fake_lists", "real_lists"])
def lists(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


async def test_what_was_added_is_found_and_nothing_else(lists: Any) -> None:
    entry, new = await lists.add("acme", "Ann@World.test", "bounce", "550 5.1.1 unknown")
    assert new
    found = await lists.find("acme", ["ann@world.test", "bob@world.test"])
    assert found == {"ann@world.test": entry}
    assert entry.email == "Ann@World.test"


async def test_a_list_that_never_knew_anybody_finds_nobody(lists: Any) -> None:
    assert await lists.find("acme", ["ann@world.test"]) == {}
    assert await lists.find("acme", []) == {}


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("ann@world.test", "ANN@WORLD.TEST"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "Ann@BÜCHER.example"),
        ("jürgen@world.test", "JU\u0308RGEN@world.test"),
    ],
)
async def test_spellings_of_one_address_are_one_address(lists: Any, given: str, asked: str) -> None:
    await lists.add("acme", given, "manual")
    assert list(await lists.find("acme", [asked])) == [asked]


@pytest.mark.parametrize(
    ("given", "other"),
    [
        ("ann@world.test", "ann+tag@world.test"),
        ("a.nn@gmail.com", "ann@gmail.com"),
        ("strasse@world.test", "straße@world.test"),
        ("ann@strasse.example", "ann@straße.example"),
        ("jurgen@world.test", "jürgen@world.test"),
    ],
)
async def test_other_addresses_are_not_suppressed_with_it(lists: Any, given: str, other: str) -> None:
    await lists.add("acme", given, "manual")
    assert await lists.find("acme", [other]) == {}


async def test_no_workspace_is_bound_by_anothers_list(lists: Any) -> None:
    await lists.add("acme", "ann@world.test", "manual")
    found = await lists.find_all([("acme", "ann@world.test"), ("other", "ann@world.test")])
    assert list(found) == [("acme", "ann@world.test")]


async def test_a_second_reason_leaves_the_first_as_it_is(lists: Any) -> None:
    first, _ = await lists.add("acme", "ann@world.test", "complaint", "abuse")
    again, new = await lists.add("acme", "Ann@world.test", "bounce", "550")
    assert (again, new) == (first, False)


async def test_what_was_removed_is_not_found_and_may_be_added_again(lists: Any) -> None:
    first, _ = await lists.add("acme", "ann@world.test", "bounce")
    assert await lists.remove("acme", "ANN@world.test") == first
    assert await lists.remove("acme", "ann@world.test") is None
    assert await lists.find("acme", ["ann@world.test"]) == {}
    second, new = await lists.add("acme", "ann@world.test", "manual")
    assert new
    assert await lists.find("acme", ["ann@world.test"]) == {"ann@world.test": second}
