"""`sendlog workspaces` on a real broker: a tenant and the key that opens it, or neither."""

import asyncio
import json

import pytest

from cli import workspaces
from shared.runtime import configuration, topology
from shared.runtime.buckets import Bucket
from shared.runtime.configuration import ApiKey, Workspace
from shared.runtime.log import Log
from tests.controls.runtime import bootstrap, open_log
from tests.integration.cli.stub_api import CommandLine


@pytest.fixture(autouse=True)
async def _broker(clean_nats: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await bootstrap(clean_nats)
    monkeypatch.setenv("SENDLOG_HOME", "/nowhere")
    monkeypatch.setenv("SENDLOG_NATS_URL", clean_nats)


async def _keys(emails: Log) -> dict[str, ApiKey]:
    bucket = Bucket(emails.client, topology.KEYS, ApiKey)
    await bucket.open()
    await bucket.close()
    return bucket.items()


async def test_a_new_workspace_has_a_key_that_may_do_everything(clean_nats: str, cli: CommandLine) -> None:
    said = await cli("workspaces", "add", "acme")
    token = said.out.strip()
    assert (said.code, said.err) == (0, "")
    assert token.startswith("sk_")
    async with open_log(clean_nats) as (emails, _):
        assert await Bucket(emails.client, topology.WORKSPACES, Workspace).read("acme")
        keys = await _keys(emails)
    assert list(keys) == [configuration.hash_token(token)]
    assert keys[configuration.hash_token(token)].workspace == "acme"
    assert keys[configuration.hash_token(token)].permissions == configuration.PERMISSIONS


async def test_a_workspace_is_added_once_and_gets_one_key(clean_nats: str, cli: CommandLine) -> None:
    await cli("workspaces", "add", "acme")
    said = await cli("workspaces", "add", "acme")
    assert said == (1, "", "sendlog: there is a workspace 'acme' already\n")
    async with open_log(clean_nats) as (emails, _):
        assert len(await _keys(emails)) == 1


async def test_of_two_who_add_at_once_one_gets_it_and_the_other_leaves_no_key(clean_nats: str) -> None:
    async with open_log(clean_nats) as (emails, _):
        both = [workspaces._make(emails.client, "acme") for _ in range(2)]
        found = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(one).__name__ for one in found) == ["Failure", "dict"]
        (made,) = [one for one in found if isinstance(one, dict)]
        assert list(await _keys(emails)) == [configuration.hash_token(made["key"])]


@pytest.mark.parametrize("name", ["Acme", "a.b", "a b", "*", ">", "-a", "a" * 64, ""])
async def test_a_name_that_would_break_a_subject_is_a_mistake(cli: CommandLine, name: str) -> None:
    assert (await cli("workspaces", "add", "--", name)).code == 2


async def test_workspaces_are_listed(cli: CommandLine) -> None:
    made = json.loads((await cli("workspaces", "add", "acme", "--json")).out)
    await cli("workspaces", "add", "zoo")
    listed = json.loads((await cli("workspaces", "list", "--json")).out)
    assert [one["name"] for one in listed] == ["acme", "zoo"]
    assert listed[0]["created_at"] == made["created_at"]


async def test_no_broker_is_unreachable(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("SENDLOG_NATS_URL", f"nats://127.0.0.1:{free_port}")
    said = await cli("workspaces", "list")
    assert said == (3, "", f"sendlog: no broker answers at nats://127.0.0.1:{free_port}\n")
