"""Every route of the table, from the router's own list: without key, without the permission, with others' ids."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from services.bootstrap import database as migrations
from services.gateway.routes import TABLE
from services.gateway.routing import Route
from shared.runtime.configuration import PERMISSIONS
from tests.controls.gateways import ACCOUNT, Client, Gateways

PUBLIC = {"/openapi.json", "/docs", "/livez", "/readyz"}
BODY = {"scheduled_at": "2030-01-01T00:00:00Z"}


def path(route: Route, an_id: str, attachment_id: str | None = None) -> str:
    address = f"{an_id}@world.test" if re.fullmatch(r"[0-9a-f-]{36}", an_id) else an_id
    asked = route.path.replace("{email}", address).replace("{attachment_id}", attachment_id or an_id)
    return re.sub(r"\{\w+\}", an_id, asked)


async def test_without_a_valid_key_every_route_gives_one_and_the_same_401(replicas: Gateways) -> None:
    client = await replicas.replica()
    expired = await replicas.key(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answers = set()
    for route in TABLE.routes:
        for headers in (
            {},
            {"Authorization": "Bearer"},
            {"Authorization": "Basic c2s6"},
            {"Authorization": "sk_x"},
            {"Authorization": "Bearer sk_unknown"},
            {"Authorization": "Bearer " + "sk_" + "x" * 5000},
            {"Authorization": f"Bearer {expired}"},
        ):
            answer = await client.ask(
                route.method, path(route, str(uuid.uuid4())), BODY if route.body else None,
                X_Request_Id="same", **headers,
            )  # fmt: skip
            assert answer.status == 401, (route.name, headers)
            head = {name: value for name, value in answer.headers.items() if name != "Date"}
            answers.add((answer.text, tuple(head.items())))
    assert len(answers) == 1


async def test_a_key_without_the_permission_is_refused_by_every_route_naming_it(replicas: Gateways) -> None:
    client = await replicas.replica()
    for route in TABLE.routes:
        others = [permission for permission in PERMISSIONS if permission != route.permission]
        weak = client.by(await replicas.key("default", *others))
        answer = await weak.ask(route.method, path(route, str(uuid.uuid4())), BODY if route.body else None)
        assert (answer.status, answer.code) == (403, "FORBIDDEN"), route.name
        assert route.permission in answer.body["error"]["message"]


async def test_another_workspaces_ids_are_as_unknown_as_ids_that_never_were(
    replicas: Gateways, database: str
) -> None:
    await migrations.migrate(database, None)
    mine = await replicas.replica(await replicas.key("mine"), database_url=database)
    theirs = mine.by(await replicas.key("theirs"))
    account = (await theirs.ask("POST", "/accounts", ACCOUNT)).data["id"]
    key = (await theirs.ask("POST", "/keys", {"name": "k", "permissions": ["email.send"]})).data["id"]
    fields = {"to": "ann@world.test", "subject": "s", "text": "t"}
    file = {"filename": "a.txt", "content": "aGk="}
    email = (await theirs.ask("POST", "/emails/send", fields | {"attachments": [file]})).data["id"]
    attachment = (await theirs.ask("GET", f"/emails/{email}")).data["attachments"][0]["id"]
    template = (await theirs.ask("POST", "/templates", {"name": "t", "text": "t"})).data["id"]
    suppressed = (await theirs.ask("POST", "/suppressions", {"email": "sam@world.test"})).data["email"]
    csv = {"Content_Type": "text/csv"}
    an_import = (await theirs.ask("POST", "/suppressions/import", b"x@y.test", **csv)).data["id"]
    ids = {
        "accounts": account,
        "keys": key,
        "emails": email,
        "tracking": email,
        "templates": template,
        "suppressions": suppressed,
    }
    for route in TABLE.routes:
        if route.ids:
            body = BODY if route.path.startswith("/emails") and route.body else {} if route.body else None
            their_id = an_import if "imports" in route.path else ids[route.path.split("/")[1]]
            foreign = await mine.ask(
                route.method, path(route, their_id, attachment), body, X_Request_Id="same"
            )
            unknown = await mine.ask(route.method, path(route, str(uuid.uuid4())), body, X_Request_Id="same")
            assert (foreign.status, foreign.code) == (404, "NOT_FOUND"), route.name
            assert foreign.text == unknown.text
        elif route.method == "GET":
            listed = await mine.ask("GET", route.path)
            assert listed.status == 200
            assert not [an_id for an_id in ids.values() if an_id in listed.text], route.name
    assert (await theirs.ask("GET", f"/accounts/{account}")).status == 200
    assert (await theirs.ask("GET", f"/keys/{key}")).status == 200


async def test_an_id_that_is_none_is_a_problem_of_the_path(client: Client) -> None:
    for route in TABLE.routes:
        if route.ids:
            answer = await client.ask(route.method, path(route, "not-a-uuid"), {} if route.body else None)
            named = [f"$.{name}" for name in route.ids]
            assert (answer.status, list(answer.problems)) == (400, named), route.name


async def test_a_parameter_no_route_knows_is_refused_by_every_route(client: Client) -> None:
    for route in TABLE.routes:
        answer = await client.ask(
            route.method, path(route, str(uuid.uuid4())) + "?nonsense=1", {} if route.body else None
        )
        assert (answer.status, list(answer.problems)) == (400, ["$.nonsense"]), route.name


@pytest.mark.parametrize("page", sorted(PUBLIC))
async def test_a_public_page_needs_no_key(client: Client, page: str) -> None:
    assert (await client.by(None).plain("GET", page)).status == 200
