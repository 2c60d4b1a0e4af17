"""Replacing DKIM keys: the old one signs until DNS shows the new one, and no other is used before that."""

import asyncio
from pathlib import Path
from typing import Any

from shared.mail import dkim
from shared.runtime import keyring, signing
from tests.controls.dns_server import DnsServer
from tests.controls.gateways import Client, Gateways
from tests.integration.gateway.accounts.opening import BOTH, changed, opened, selectors, stored


async def rotated(client: Client, account: dict[str, Any]) -> dict[str, Any]:
    answer = await client.ask("POST", f"/accounts/{account['id']}/rotate-dkim")
    assert answer.status == 200, answer.text
    after: dict[str, Any] = answer.data
    return after


async def verified(client: Client, account: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = await client.ask("POST", f"/accounts/{account['id']}/verify")
    return {check["selector"]: check for check in answer.data["dkim"]}


async def signers(replicas: Gateways, account: dict[str, Any], home: Path) -> set[str]:
    """Return the selectors that mail of the account is signed with, as any dispatcher would."""
    signer = signing.signer_for(
        await stored(replicas, account["id"]), "a@example.com", keyring.load(home / "keyring")
    )
    assert isinstance(signer, dkim.Signer)
    return {key.selector for key in signer._keys}


async def test_the_old_key_signs_until_verify_has_seen_the_new_one(
    asking: Client,
    names: DnsServer,
    replicas: Gateways,
    home: Path,
) -> None:
    account = await opened(asking, {"address": "a@example.com", "dkim": ["rsa"]})
    (old,) = account["identities"][0]["dkim"]
    after = await rotated(asking, account)
    assert after["identities"][0]["dkim"][0] == old
    new = after["identities"][0]["dkim"][1]
    assert (old["waits"], new["waits"]) == (False, True)
    assert await signers(replicas, account, home) == {old["selector"]}

    names.records[old["record_name"]] = [old["record_value"]]
    checks = await verified(asking, account)
    assert {name: (one["dns"], one["signs"]) for name, one in checks.items()} == {
        old["selector"]: ("ok", True),
        new["selector"]: ("missing", False),
    }
    assert "signs until DNS shows this one" in checks[new["selector"]]["message"]
    assert await signers(replicas, account, home) == {old["selector"]}

    names.records[new["record_name"]] = [new["record_value"]]
    checks = await verified(asking, account)
    assert {name: one["signs"] for name, one in checks.items()} == {
        old["selector"]: False,
        new["selector"]: True,
    }
    assert new["selector"] in checks[old["selector"]]["message"]
    assert await signers(replicas, account, home) == {new["selector"]}
    kept = (await asking.ask("GET", f"/accounts/{account['id']}")).data
    assert kept["identities"][0]["dkim"] == [new | {"waits": False}]
    assert list(await verified(asking, account)) == [new["selector"]]


async def test_each_kind_takes_its_own_place(
    asking: Client,
    names: DnsServer,
    replicas: Gateways,
    home: Path,
) -> None:
    account = await rotated(
        asking, await opened(asking, {"address": "a@example.com", "dkim": BOTH}, {"address": "b@example.com"})
    )
    rsa, rsa_new, ed25519, ed25519_new = account["identities"][0]["dkim"]
    assert [key["algorithm"] for key in (rsa, rsa_new, ed25519, ed25519_new)] == [
        *BOTH[:1] * 2,
        *BOTH[1:] * 2,
    ]
    names.records[ed25519_new["record_name"]] = [ed25519_new["record_value"]]
    await verified(asking, account)
    assert await signers(replicas, account, home) == {rsa["selector"], ed25519_new["selector"]}


async def test_asking_again_and_at_once_makes_no_more_keys(client: Client) -> None:
    account = await opened(client, {"address": "a@example.com", "dkim": ["ed25519"]})
    await asyncio.gather(*(rotated(client, account) for _ in range(5)))
    after = await rotated(client, account)
    assert [len(keys) for keys in selectors(after)] == [2]


async def test_a_waiting_key_outlives_other_changes_and_goes_with_its_identity(client: Client) -> None:
    account = await rotated(client, await opened(client, {"address": "a@example.com", "dkim": ["ed25519"]}))
    renamed = await changed(client, account, {"address": "a@example.com", "name": "A"})
    assert selectors(renamed) == selectors(account)
    assert selectors(await changed(client, account, {"address": "a@example.com", "dkim": []})) == [[]]


async def test_an_account_without_keys_has_none_to_replace(client: Client) -> None:
    account = await opened(client, {"address": "a@example.com"})
    answer = await client.ask("POST", f"/accounts/{account['id']}/rotate-dkim")
    assert (answer.status, answer.code, list(answer.problems)) == (409, "CONFLICT", ["$.identities"])
