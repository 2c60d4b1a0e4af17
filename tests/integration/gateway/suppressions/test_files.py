"""Whole lists as CSV: imported by a job that tells how far it is, exported without a limit."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.gateway.suppressions import imports
from shared.runtime import topology
from shared.runtime.buckets import Bucket
from tests.controls.eventually import eventually
from tests.controls.gateways import Answer, Client, Gateways

FILE = b'email,reason,detail\r\n\
Ann@World.test,bounce,550 5.1.1\r\n\
nobody,bounce,\r\n\
ann@world.test,manual,again\r\n\
bob@world.test,dislike,\r\n\
bob@b\xc3\xbccher.example,,"two\r\nlines"\r\n\
carol@world.test,complaint,\r\n'


async def send(client: Client, data: bytes, query: str = "", kind: str = "text/csv") -> Answer:
    return await client.ask("POST", f"/suppressions/import{query}", data, Content_Type=kind)


async def finished(client: Client, started: Answer) -> dict[str, Any]:
    assert started.status == 202, started.text
    number = started.data["id"]

    async def is_over() -> bool:
        told = await client.ask("GET", f"/suppressions/imports/{number}")
        return bool(told.data["status"] != "running")

    await eventually(is_over, within=60)
    found: dict[str, Any] = (await client.ask("GET", f"/suppressions/imports/{number}")).data
    return found


async def test_an_import_adds_what_is_right_and_names_what_is_wrong_by_its_line(
    client: Client, home: Path
) -> None:
    await client.ask("POST", "/suppressions", {"email": "carol@world.test", "reason": "manual"})
    told = await finished(client, await send(client, FILE, "?reason=unsubscribe"))
    assert (told["status"], told["error"]) == ("done", None)
    assert (told["rows"], told["added"], told["known"], told["rejected"]) == (6, 2, 2, 2)
    assert [problem["line"] for problem in told["problems"]] == [3, 5]
    assert told["bytes_done"] == told["bytes_total"] == len(FILE)
    for email, reason in {
        "ann@world.test": "bounce",
        "bob@bücher.example": "unsubscribe",
        "carol@world.test": "manual",
    }.items():
        found = await client.ask("GET", f"/suppressions/{email}")
        assert found.data["reason"] == reason
    assert not [path for path in (home / "content").rglob("*") if path.is_file()], "the file is kept for ever"


async def test_the_same_file_again_changes_nothing(client: Client) -> None:
    await finished(client, await send(client, FILE))
    told = await finished(client, await send(client, FILE))
    assert (told["added"], told["known"]) == (0, 4)


@pytest.mark.parametrize(
    ("data", "part"), [(b"a@b.test\n\xff\xff\n", "UTF-8"), (b'"a@b.test\n' + b"x\n" * 50_000, "quote")]
)
async def test_a_file_that_is_no_csv_fails_and_says_why(client: Client, data: bytes, part: str) -> None:
    told = await finished(client, await send(client, data))
    assert told["status"] == "failed"
    assert part in told["error"]


async def test_another_content_type_is_refused(client: Client) -> None:
    assert (await send(client, FILE, kind="application/json")).status == 415
    assert (await send(client, FILE, kind="text/csv; charset=latin-1")).status == 415
    assert (await send(client, FILE, kind="text/csv; charset=UTF-8")).status == 202


async def test_a_problem_in_every_line_is_counted_and_the_first_thousand_are_told(client: Client) -> None:
    told = await finished(client, await send(client, b"no address\n" * 3000))
    assert (told["rejected"], len(told["problems"])) == (3000, 1000)


async def test_another_workspaces_import_is_unknown(client: Client, replicas: Gateways) -> None:
    number = (await send(client, FILE)).data["id"]
    other = client.by(await replicas.key("other"))
    assert (await other.ask("GET", f"/suppressions/imports/{number}")).status == 404


async def test_an_import_whose_process_has_ended_says_so(
    client: Client, replicas: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = await send(client, FILE)
    await finished(client, started)
    number = started.data["id"]
    bucket = Bucket(replicas.client, topology.IMPORTS, imports.Import)
    _, job = await bucket.read(f"default.{number}") or (0, None)
    assert job is not None
    job.status, job.updated_at = "running", job.updated_at - 2 * imports.SILENT_FOR
    await bucket.put(f"default.{number}", job)
    told = (await client.ask("GET", f"/suppressions/imports/{number}")).data
    assert told["status"] == "interrupted"
    assert "import the file again" in told["error"]


async def test_five_thousand_are_in_force_when_the_import_is_done(client: Client) -> None:
    data = b"".join(b"user%d@world.test,bounce\r\n" % n for n in range(5000))
    told = await finished(client, await send(client, data))
    assert (told["status"], told["added"]) == ("done", 5000)
    answers = await asyncio.gather(
        *(client.ask("GET", f"/suppressions/user{n}@world.test") for n in range(0, 5000, 250))
    )
    assert {answer.status for answer in answers} == {200}


@pytest.mark.usefixtures("projecting")
async def test_what_is_exported_can_be_imported_elsewhere(client: Client, replicas: Gateways) -> None:
    data = b"email,reason,detail\n" + b"".join(
        b"+user%d@world.test,bounce,=%d\n" % (n, n) for n in range(4500)
    )
    await finished(client, await send(client, data))

    async def all_listed() -> bool:
        return bool((await client.ask("GET", "/suppressions")).body["meta"]["total"] == 4500)

    await eventually(all_listed, within=30)
    exported = await client.ask("GET", "/suppressions/export?format=csv")
    assert exported.status == 200
    assert exported.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert exported.headers["Content-Disposition"].startswith('attachment; filename="suppressions-')
    assert "\n=" not in exported.text.replace(",=", "\n=")
    assert exported.text.count("\n") == 4501
    other = client.by(await replicas.key("other"))
    told = await finished(other, await send(other, exported.text.encode()))
    assert (told["added"], told["rejected"]) == (4500, 0)
    assert (await other.ask("GET", "/suppressions/%2Buser7@world.test")).data["detail"] == "=7"
    few = await client.ask("GET", "/suppressions/export?reason=manual")
    assert few.text == "email,reason,detail,created_at\r\n"
