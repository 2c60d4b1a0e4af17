"""`sendlog suppressions` against an API: what is asked, what is printed, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.stub_api import CommandLine, StubApi

ID = "019abc12-7d00-7000-8000-00000000abcd"
ROW: dict[str, Any] = {
    "email": "ann@world.test",
    "reason": "bounce",
    "detail": "550 \x1b[31m5.1.1",
    "created_at": "2026-11-24T12:00:00Z",
}
JOB: dict[str, Any] = {
    "id": ID,
    "status": "running",
    "error": None,
    "bytes_done": 5,
    "bytes_total": 10,
    "rows": 2,
    "added": 1,
    "known": 0,
    "rejected": 0,
    "problems": [],
}
DONE = JOB | {"status": "done", "bytes_done": 10, "rows": 3, "added": 2, "known": 1}


async def test_a_list_shows_the_newest_and_how_many_there_are(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/suppressions", [ROW], meta={"total": 70, "next_cursor": "c"})
    said = await cli(
        "suppressions", "list", "--limit", "1", "--email", "Ann@World.test", "--reason", "bounce"
    )
    assert said.code == 0
    assert api.asked[0].query == {"per_page": "1", "email": "Ann@World.test", "reason": "bounce"}
    assert "ann@world.test" in said.out
    assert "\x1b" not in said.out
    assert "1 of 70" in said.err


async def test_a_long_list_is_followed_page_by_page(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/suppressions", [ROW] * 100, meta={"total": 130, "next_cursor": "c"})
    api.answer("GET", "/suppressions", [ROW] * 30, meta={"total": 130, "next_cursor": None})
    said = await cli("suppressions", "list", "--limit", "120", "--json")
    assert len(json.loads(said.out)) == 120
    assert api.asked[1].query["cursor"] == "c"


async def test_an_address_is_added_and_removed(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/suppressions", ROW)
    said = await cli("suppressions", "add", "ann@world.test", "--reason", "bounce", "--detail", "d")
    assert api.asked[0].body == {"email": "ann@world.test", "reason": "bounce", "detail": "d"}
    assert said.out.startswith("ann@world.test is suppressed (bounce, since ")
    api.answer("DELETE", "/suppressions/a%2Fb%40world.test", ROW)
    said = await cli("suppressions", "remove", "a/b@world.test")
    assert said == (0, "ann@world.test is written to again\n", "")


async def test_an_address_that_is_not_on_the_list_is_a_no(api: StubApi, cli: CommandLine) -> None:
    assert (await cli("suppressions", "remove", "bob@world.test")).code == 1


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "list.csv").write_text('"x"')
    return str(tmp_path / "list.csv")


async def test_an_import_is_followed_to_its_end(api: StubApi, cli: CommandLine, file: str) -> None:
    api.answer("POST", "/suppressions/import", JOB)
    api.answer("GET", f"/suppressions/imports/{ID}", JOB)
    api.answer("GET", f"/suppressions/imports/{ID}", DONE)
    said = await cli("suppressions", "import", file, "--reason", "complaint")
    assert said == (0, "3 records: 2 added, 1 known, 0 rejected\n", "")
    assert api.asked[0].query == {"reason": "complaint"}
    assert api.asked[0].headers["Content-Type"] == "text/csv"
    assert api.asked[0].body == '"x"'


async def test_records_that_were_rejected_are_named_and_a_no(
    api: StubApi, cli: CommandLine, file: str
) -> None:
    problems = [{"line": n, "message": "no \x1b address"} for n in range(25)]
    api.answer("POST", "/suppressions/import", DONE | {"rejected": 25, "problems": problems})
    said = await cli("suppressions", "import", file)
    assert said.code == 1
    assert "line 3: no ␛ address" in said.err
    assert "... and 5 more" in said.err


@pytest.mark.parametrize("status", ["failed", "interrupted"])
async def test_an_import_that_did_not_end_well_is_a_no(
    api: StubApi, cli: CommandLine, file: str, status: str
) -> None:
    api.answer("POST", "/suppressions/import", JOB | {"status": status, "error": "why"})
    said = await cli("suppressions", "import", file)
    assert said.code == 1
    assert f"the import is {status}: why" in said.err


async def test_a_file_that_is_not_there_is_a_wrong_command_line(cli: CommandLine) -> None:
    assert (await cli("suppressions", "import", "/nowhere.csv")).code == 2


async def test_an_export_is_written_whole_and_never_over_another_file(
    api: StubApi, cli: CommandLine, tmp_path: Path
) -> None:
    api.file("GET", "/suppressions/export", "email\r\nann@world.test\r\n")
    out = tmp_path / "out.csv"
    assert (await cli("suppressions", "export", "--output", str(out), "--reason", "bounce")).code == 0
    assert out.read_bytes() == b"email\r\nann@world.test\r\n"
    assert api.asked[0].query == {"reason": "bounce"}
    assert (await cli("suppressions", "export", "--output", str(out))).code == 2
