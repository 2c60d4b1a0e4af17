"""`sendlog validate`, `resend`, `raw`."""

import json
from pathlib import Path

import pytest

from cli import api as api_module
from tests.integration.cli.stub_api import CommandLine, StubApi

ID = "019abc12-7d00-7000-8000-00000000abcd"
NEW = "019abc12-7d00-7000-8000-00000000ef01"
DRY = {
    "valid": True,
    "smtp_account_id": "0e6a3a52-0000-4000-8000-000000000001",
    "from": "Sendlog <hello@sendlog.test>",
    "subject": "Hi \x1b[31m",
    "html": "<p>Hi",
    "text": "Hi",
    "size": 1234,
    "scheduled_at": None,
    "attachments": [{"filename": "a.txt", "contentType": "text/plain", "sizeBytes": 2, "contentId": None}],
    "recipients": [{"address": "ann@world.test", "role": "to", "verdict": "suppressed", "reason": "bounce"}],
    "links": ["https://shop.test"],
    "warnings": [{"code": "all_suppressed", "message": "nothing would be sent"}],
}
TRY = ("validate", "--to", "ann@world.test", "--subject", "Hi", "--text", "Hi")


async def test_a_dry_run_tells_everything_and_asks_what_a_send_asks(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/emails/validate", DRY)
    said = await cli(*TRY, "--tag", "a")
    assert (said.code, said.err) == (0, "")
    for part in (
        "1,234 bytes",
        "a.txt",
        "suppressed",
        "bounce",
        "https://shop.test",
        "nothing would be sent",
    ):
        assert part in said.out
    assert "\x1b" not in said.out
    assert api.asked[0].body == {"to": "ann@world.test", "subject": "Hi", "text": "Hi", "tags": ["a"]}


async def test_a_recipient_without_an_address_ends_a_dry_run_with_1(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/emails/validate", DRY | {"valid": False, "size": None})
    assert (await cli(*TRY)).code == 1
    said = await cli(*TRY, "--json")
    assert (said.code, json.loads(said.out)["size"]) == (1, None)


async def test_a_resend_prints_the_new_id_and_has_no_body(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", f"/emails/{ID}/resend", {"id": NEW, "resent_from": ID})
    assert await cli("resend", ID) == (0, f"{NEW}\n", "")
    assert api.asked[0].body is None
    assert api.asked[0].headers["Idempotency-Key"]


async def test_a_resend_without_an_answer_is_repeated_with_its_key(
    api: StubApi, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "LONGEST_PAUSE", 0.01)
    api.refuse("POST", f"/emails/{ID}/resend", 503, "UNAVAILABLE", "not confirmed", retry_after=1)
    api.answer("POST", f"/emails/{ID}/resend", {"id": NEW, "resent_from": ID})
    assert (await cli("resend", ID)).code == 0
    assert len({asked.headers["Idempotency-Key"] for asked in api.asked}) == 1
    assert len(api.asked) == 2


async def test_a_message_is_printed_as_it_is(api: StubApi, cli: CommandLine, tmp_path: Path) -> None:
    api.file("GET", f"/emails/{ID}/raw", "Subject: Hi\r\n\r\nbody\r\n")
    file = tmp_path / "mail.eml"
    assert (await cli("raw", ID, "-o", str(file))).code == 0
    assert file.read_bytes() == b"Subject: Hi\r\n\r\nbody\r\n"
    again = await cli("raw", ID, "-o", str(file))
    assert again.code == 2
    assert "is there already" in again.err


async def test_a_message_that_is_not_there_leaves_no_file(
    api: StubApi, cli: CommandLine, tmp_path: Path
) -> None:
    reason = [{"path": "$.content", "message": "content_expired"}]
    api.refuse("GET", f"/emails/{ID}/raw", 409, "CONFLICT", "the content has expired", details=reason)
    said = await cli("raw", ID, "-o", str(tmp_path / "mail.eml"))
    assert said.code == 1
    assert "content_expired" in said.err
    assert not list(tmp_path.iterdir())
