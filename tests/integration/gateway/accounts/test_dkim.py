"""DKIM keys of accounts: made for who asks, kept while asked for, shown without their secret, checked in DNS."""

import re
from pathlib import Path
from typing import Any

import dns.rcode
import msgspec
import pytest

from services.gateway import reseal
from services.gateway.accounts import dns_records
from shared.mail import dkim
from shared.runtime import keyring, signing
from tests.controls.dns_server import DnsServer
from tests.controls.gateways import ACCOUNT, Client, Gateways
from tests.integration.gateway.accounts.opening import BOTH, changed, opened, selectors, stored


async def test_an_identity_that_asks_gets_keys_and_the_records_for_dns(client: Client) -> None:
    account = await opened(
        client, {"address": "a@Mail.Example.com", "dkim": BOTH}, {"address": "b@example.com"}
    )
    rsa, ed25519 = account["identities"][0]["dkim"]
    assert account["identities"][1]["dkim"] == []
    for key, kind in ((rsa, "rsa"), (ed25519, "ed25519")):
        assert key["algorithm"] == kind
        assert re.fullmatch(rf"s\d{{6}}-{kind}-[0-9a-f]{{6}}", key["selector"])
        assert key["record_name"] == f"{key['selector']}._domainkey.mail.example.com"
        assert key["record_value"].startswith(f"v=DKIM1; k={kind}; p=")
    assert len(dkim.tags(rsa["record_value"])["p"]) == 392, "RSA-2048"


async def test_the_record_belongs_to_the_key_that_signs_and_the_key_is_sealed(
    client: Client, replicas: Gateways, home: Path
) -> None:
    account = await opened(client, {"address": "a@example.com", "dkim": BOTH})
    kept = await stored(replicas, account["id"])
    ring = keyring.load(home / "keyring")
    for key, shown in zip(kept.dkim_keys, account["identities"][0]["dkim"], strict=True):
        private = dkim.read(ring.open(key.secret, "default", account["id"]))
        assert shown["record_value"].endswith(dkim.public_part(private))
        assert dkim.stored(private) not in msgspec.json.encode(kept).decode()
        with pytest.raises(keyring.KeyringError):
            ring.open(key.secret, "another", account["id"])
    assert signing.signer_for(kept, "A@EXAMPLE.com", ring) is not None


async def test_no_answer_has_a_private_key_in_it(client: Client, replicas: Gateways) -> None:
    made = await client.ask(
        "POST", "/accounts", ACCOUNT | {"identities": [{"address": "a@b.test", "dkim": BOTH}]}
    )
    kept = await stored(replicas, made.data["id"])
    for answer in (
        made,
        await client.ask("GET", "/accounts"),
        await client.ask("DELETE", f"/accounts/{kept.id}"),
    ):
        assert all(key.secret not in answer.text for key in kept.dkim_keys)
        assert "secret" not in str(answer.data).replace("has_secret", "")


async def test_identities_of_one_domain_share_its_keys(client: Client) -> None:
    account = await opened(
        client,
        {"address": "a@example.com", "dkim": BOTH},
        {"address": "b@EXAMPLE.com", "dkim": ["rsa"]},
        {"address": "c@example.org", "dkim": ["rsa"]},
    )
    a, b, c = selectors(account)
    assert b == a[:1]
    assert c != b


async def test_keys_stay_for_as_long_as_they_are_asked_for(client: Client) -> None:
    account = await opened(client, {"address": "a@example.com", "dkim": BOTH})
    before = selectors(account)
    for again in ({"address": "a@example.com"}, {"address": "A@example.com", "name": "A", "dkim": BOTH}):
        account = await changed(client, account, again)
        assert selectors(account) == before
    assert (
        selectors((await client.ask("PATCH", f"/accounts/{account['id']}", {"name": "other"})).data) == before
    )
    account = await changed(client, account, {"address": "a@example.com", "dkim": ["ed25519"]})
    assert selectors(account) == [before[0][1:]]


async def test_a_key_that_nobody_asks_for_is_forgotten_and_asking_again_makes_another(
    client: Client, replicas: Gateways
) -> None:
    account = await opened(client, {"address": "a@example.com", "dkim": ["rsa"]})
    before = selectors(account)
    account = await changed(client, account, {"address": "a@example.com", "dkim": []})
    assert (selectors(account), (await stored(replicas, account["id"])).dkim_keys) == ([[]], ())
    account = await changed(client, account, {"address": "a@example.com", "dkim": ["rsa"]})
    assert selectors(account) != before


async def test_what_is_no_kind_of_key_is_refused_and_too_many_keys_too(client: Client) -> None:
    wrong = await client.ask(
        "POST", "/accounts", ACCOUNT | {"identities": [{"address": "a@b.test", "dkim": ["dsa"]}]}
    )
    assert (wrong.status, list(wrong.problems)) == (400, ["$.identities[0].dkim[0]"])
    many = [{"address": f"a@d{n}.test", "dkim": BOTH} for n in range(11)]
    refused = await client.ask("POST", "/accounts", ACCOUNT | {"identities": many})
    assert (refused.status, list(refused.problems)) == (400, ["$.identities"])


async def found(client: Client, account: dict[str, Any]) -> dict[str, str]:
    answer = await client.ask("POST", f"/accounts/{account['id']}/verify")
    assert answer.status == 200, answer.text
    assert answer.data["ok"], "mail can be sent, whatever DNS shows"
    (one,) = answer.data["dkim"]
    (key,) = account["identities"][0]["dkim"]
    assert (one["selector"], one["record_name"]) == (key["selector"], key["record_name"])
    check: dict[str, str] = one
    return check


async def test_verify_says_what_dns_shows_of_a_key(asking: Client, names: DnsServer) -> None:
    account = await opened(asking, {"address": "a@example.com", "dkim": ["rsa"]})
    (key,) = account["identities"][0]["dkim"]
    name, value = key["record_name"], key["record_value"]
    assert (await found(asking, account))["dns"] == "missing"
    for shown, verdict in (
        ([value], "ok"),
        ([value.replace("; ", " ;  ").replace("k=rsa", "h=sha256")], "ok"),
        ([value[:-8]], "different"),
        (["v=DKIM1; k=rsa; p="], "different"),
        ([value.replace("k=rsa", "k=ed25519")], "different"),
        (["something else"], "different"),
        ([value, "v=spf1 -all"], "different"),
        ([], "missing"),
    ):
        names.records[name] = shown
        said = await found(asking, account)
        assert said["dns"] == verdict, (shown, said)


async def test_verify_says_that_dns_is_not_reachable_and_not_that_the_record_is_missing(
    asking: Client, names: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_records, "WITHIN", 0.5)
    account = await opened(asking, {"address": "a@example.com", "dkim": ["ed25519"]})
    names.rcode = dns.rcode.SERVFAIL
    assert (await found(asking, account))["dns"] == "unreachable"
    names.silent = True
    assert (await found(asking, account))["dns"] == "unreachable"


@pytest.mark.parametrize("text", ["nonsense", "1.2.3.4:x", "1.2.3.4:99999", "[::1]:0"])
def test_a_name_server_that_is_none_is_said_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        dns_records.parse_servers(text)


async def test_after_resealing_every_account_is_under_the_new_key(
    client: Client, replicas: Gateways, home: Path
) -> None:
    signed = await opened(client, {"address": "a@example.com", "dkim": BOTH})
    plain = await opened(client, {"address": "b@example.com"})
    keyring.rotate(home / "keyring")
    ring = keyring.load(home / "keyring")
    await replicas.accounts.open()
    assert await reseal.reseal(replicas.accounts, ring) == (1, [])
    assert all(ring.is_current(key.secret) for key in (await stored(replicas, signed["id"])).dkim_keys)
    assert (await stored(replicas, plain["id"])).dkim_keys == ()
    assert await reseal.reseal(replicas.accounts, ring) == (0, [])
    await replicas.accounts.close()
