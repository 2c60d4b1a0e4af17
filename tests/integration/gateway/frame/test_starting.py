"""A gateway that cannot start says why in one sentence."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from shared.runtime import log
from shared.runtime.settings import SettingsError
from tests.controls import gateways
from tests.controls.gateways import Gateways


async def test_an_operator_who_names_no_networks_is_told_which_setting_is_wrong(replicas: Gateways) -> None:
    with pytest.raises(SettingsError, match="SENDLOG_ALLOW_NETWORKS"):
        await replicas.replica(allow_networks="10.0.0.0/33")


async def test_a_broker_without_our_buckets_says_what_to_run(
    clean_nats: str, postgres_server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateways.gateways(clean_nats, postgres_server, home, monkeypatch) as replicas:
        await replicas.client.jetstream().delete_stream("KV_keys")
        with pytest.raises(log.BrokerUnavailable, match="run the bootstrap"):
            await replicas.replica()


async def test_a_keyring_that_is_not_there_ends_the_process_with_a_sentence(
    replicas: Gateways, home: Path
) -> None:
    (home / "keyring").unlink()
    replicas.set_environment(health_port=1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env=dict(os.environ), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().startswith("gateway: keyring: ")
    assert said.count(b"\n") == 1
