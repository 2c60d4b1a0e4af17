"""One gateway for all checks of the contract, and in it one of everything an id can name."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import asyncpg
import pytest
import requests

from tests.controls import servers
from tests.integration.gateway.emails import door as doors


class Subject(NamedTuple):
    """A running gateway, a key that may do everything, and things that are there, by the path they stand under."""

    url: str
    token: str
    ids: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def subject(nats_server: str, postgres_server: str) -> Iterator[Subject]:
    """A gateway with an email, an account, a key, a template and a suppression in it."""
    name = f"contract_{uuid.uuid4().hex[:8]}"
    database_url = postgres_server.rpartition("/")[0] + f"/{name}"
    token = asyncio.run(_prepare(postgres_server, name, nats_server, database_url))
    home = servers.own_directory()
    gateway = doors.Gateway(nats_server, database_url, home).start()
    yield Subject(gateway.url, token, _things(gateway.url, token))
    gateway.stop()
    servers.remove(home)


async def _prepare(postgres_server: str, name: str, nats_url: str, database_url: str) -> str:
    connection = await asyncpg.connect(postgres_server)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    await connection.close()
    await doors.prepare(nats_url, database_url)
    async with doors.behind(nats_url, database_url) as behind:
        token, _ = await behind.workspace(behind.name)
    return token


def _things(url: str, token: str) -> dict[str, dict[str, str]]:
    def make(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(
            f"{url}/api/v1{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        assert answer.ok, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    file = {"filename": "a.txt", "content": "aGk="}
    email = make("/emails/send", doors.GOOD | {"attachments": [file]})["id"]
    shown = requests.get(
        f"{url}/api/v1/emails/{email}", headers={"Authorization": f"Bearer {token}"}, timeout=10
    )
    attachment = shown.json()["data"]["attachments"][0]["id"]
    account = {
        "name": "x",
        "host": "smtp.example.com",
        "port": 587,
        "identities": [{"address": "x@example.com"}],
    }
    return {
        "emails": {"id": email, "attachment_id": attachment},
        "tracking": {"emailId": email},
        "events": {},
        "accounts": {"id": make("/accounts", account)["id"]},
        "keys": {"id": make("/keys", {"name": "k", "permissions": ["email.send"]})["id"]},
        "templates": {
            "id": make("/templates", {"name": "t", "alias": "welcome", "subject": "s", "text": "t"})["id"]
        },
        "suppressions": {
            "email": make("/suppressions", {"email": "gone@world.test", "reason": "manual"})["email"]
        },
    }
