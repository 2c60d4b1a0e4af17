"""Accounts over the API: what may be opened, what is shown, and what holds on every replica."""

from tests.controls.gateways import ACCOUNT, Client, Gateways


async def test_an_account_is_shown_as_it_was_opened_and_never_with_its_secret(client: Client) -> None:
    wanted = ACCOUNT | {"username": "u", "password": "canary-of-a-secret", "limits": {"per_second": 5}}
    made = await client.ask("POST", "/accounts", wanted)
    assert made.status == 201
    assert made.data["auth"] == "password"
    assert made.data["tls"] == "starttls"
    assert made.data["has_secret"] is True
    assert made.data["limits"] == {
        "connections": 10, "per_second": 5, "per_minute": None, "per_hour": None, "per_day": None,
    }  # fmt: skip
    read = await client.ask("GET", f"/accounts/{made.data['id']}")
    assert read.data == made.data
    listed = await client.ask("GET", "/accounts")
    assert listed.data == [made.data]
    for answer in (made, read, listed):
        assert "canary" not in answer.text
