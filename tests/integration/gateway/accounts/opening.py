"""Accounts opened and changed over the API, and what the bucket then holds."""

from typing import Any

from shared.runtime import configuration
from shared.runtime.configuration import Account
from tests.controls.gateways import ACCOUNT, Client, Gateways

BOTH = ["rsa", "ed25519"]


async def opened(client: Client, *identities: dict[str, Any], **given: Any) -> dict[str, Any]:
    wanted = ACCOUNT | given | ({"identities": list(identities)} if identities else {})
    answer = await client.ask("POST", "/accounts", wanted)
    assert answer.status == 201, answer.text
    account: dict[str, Any] = answer.data
    return account


async def changed(client: Client, account: dict[str, Any], *identities: dict[str, Any]) -> dict[str, Any]:
    answer = await client.ask("PATCH", f"/accounts/{account['id']}", {"identities": list(identities)})
    assert answer.status == 200, answer.text
    after: dict[str, Any] = answer.data
    return after


async def stored(replicas: Gateways, account_id: str) -> Account:
    found = await replicas.accounts.read(configuration.account_key("default", account_id))
    assert found is not None
    return found[1]


def selectors(account: dict[str, Any]) -> list[list[str]]:
    return [[key["selector"] for key in identity["dkim"]] for identity in account["identities"]]
