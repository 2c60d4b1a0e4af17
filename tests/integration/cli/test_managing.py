"""`accounts` and `keys`: what is written, and that no password stands on a command line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.stub_api import CommandLine, StubApi

ID = "0e6a3a52-0000-4000-8000-000000000001"
ACCOUNT: dict[str, Any] = {
    "id": ID,
    "name": "relay",
    "host": "smtp.example.com",
    "port": 587,
    "tls": "starttls",
    "auth": "password",
    "username": "me",
    "has_secret": True,
    "tls_ca": None,
    "identities": [{"address": "hello@example.com", "name": "Hello"}],
    "limits": {"connections": 5, "per_second": 10, "per_minute": None, "per_hour": None, "per_day": None},
    "ambiguity": "at_least_once",
    "tracking": {"opens": True, "clicks": False, "delivery": True, "read": False},
    "return_path_domain": None,
    "disabled": False,
    "default": True,
    "created_at": "2026-11-24T12:00:00Z",
    "updated_at": "2026-11-24T12:00:00Z",
}
ADD = ("accounts", "add", "--name", "relay", "--host", "smtp.example.com", "--port", "587")


async def test_an_account_is_opened_with_what_was_given(
    api: StubApi, cli: CommandLine, tmp_path: Path
) -> None:
    api.answer("POST", "/accounts", ACCOUNT)
    (tmp_path / "pw").write_text("s3cret\n")
    words = ["--identity", "Hello <hello@example.com>", "--identity", "b@example.com", "--username", "me"]
    words += ["--password-file", str(tmp_path / "pw"), "--per-second", "10", "--per-day", "none", "--default"]
    said = await cli(*ADD, *words, "--tls", "starttls", "--ambiguity", "at_most_once")
    assert said.code == 0
    assert "Return path  none: reports go" in said.out
    assert "Login        password, me (secret kept)" in said.out
    assert api.asked[0].body == {
        "name": "relay",
        "host": "smtp.example.com",
        "port": 587,
        "tls": "starttls",
        "username": "me",
        "password": "s3cret",
        "identities": [{"address": "hello@example.com", "name": "Hello"}, {"address": "b@example.com"}],
        "limits": {"per_second": 10, "per_day": None},
        "ambiguity": "at_most_once",
        "default": True,
    }


async def test_a_password_comes_from_standard_input(
    api: StubApi, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer("POST", "/accounts", ACCOUNT)
    monkeypatch.setattr("sys.stdin", io.StringIO("piped\n"))
    await cli(*ADD, "--identity", "a@example.com", "--username", "me", "--password-file", "-")
    assert api.asked[0].body["password"] == "piped"


async def test_there_is_no_option_for_a_password(api: StubApi, cli: CommandLine) -> None:
    said = await cli(*ADD, "--identity", "a@example.com", "--password", "s3cret")
    assert said.code == 2


async def test_an_account_is_found_by_its_name(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", "/accounts", [ACCOUNT, ACCOUNT | {"id": "2", "name": "other", "default": False}])
    for name in ("relay", "default"):
        said = await cli("accounts", "show", name, "--json")
        assert json.loads(said.out) == ACCOUNT


@pytest.mark.parametrize(("found", "code"), [([], 1), ([ACCOUNT, ACCOUNT | {"id": "2"}], 1)])
async def test_an_account_that_is_not_one_is_a_no(
    api: StubApi, cli: CommandLine, found: list[Any], code: int
) -> None:
    api.answer("GET", "/accounts", found)
    assert (await cli("accounts", "show", "relay")).code == code


async def test_only_what_is_given_changes(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    api.answer("PATCH", f"/accounts/{ID}", ACCOUNT | {"disabled": True})
    said = await cli("accounts", "edit", ID, "--disable", "--per-second", "none")
    assert api.asked[1].body == {"disabled": True, "limits": {"per_second": None}}
    assert "State        default, disabled" in said.out


async def test_an_account_that_works_is_a_yes(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    checks = [
        {"name": "connect", "ok": True, "message": "ok"},
        {"name": "dsn", "ok": False, "message": "not offered"},
    ]
    api.answer("POST", f"/accounts/{ID}/verify", {"ok": True, "checks": checks})
    assert await cli("accounts", "verify", ID) == (0, "ok    connect\nno    dsn: not offered\n", "")


async def test_a_mailbox_is_linked_and_unlinked(api: StubApi, cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    linked = {
        "host": "imap.example.com",
        "port": 993,
        "tls": "implicit",
        "username": "me",
        "mailbox": "INBOX",
    }
    api.answer("PATCH", f"/accounts/{ID}", ACCOUNT | {"imap": linked})
    words = ["--imap-host", "imap.example.com", "--imap-username", "me"]
    said = await cli("accounts", "edit", ID, *words, "--imap-password-file", str(tmp_path / "secret"))
    wanted = {"host": "imap.example.com", "username": "me", "password": "s3cret"}
    assert api.asked[1].body == {"imap": wanted}
    assert "Mailbox      INBOX of me at imap.example.com:993, TLS implicit" in said.out
    await cli("accounts", "edit", ID, "--unlink-imap")
    assert api.asked[3].body == {"imap": None}


async def test_a_mailbox_that_cannot_be_read_is_a_no(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    imap = {"ok": False, "checks": [{"name": "login", "ok": False, "message": "refused"}]}
    api.answer("POST", f"/accounts/{ID}/verify", {"ok": True, "checks": [], "imap": imap})
    assert await cli("accounts", "verify", ID) == (1, "FAIL  imap login: refused\n", "")


async def test_an_account_that_does_not_work_is_a_no(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    checks = [{"name": "connect", "ok": False, "message": "refused"}]
    api.answer("POST", f"/accounts/{ID}/verify", {"ok": False, "checks": checks})
    assert await cli("accounts", "verify", ID) == (1, "FAIL  connect: refused\n", "")


async def test_the_new_key_is_all_that_is_printed(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/keys", {"id": ID, "name": "ci", "key": "sk_new"})
    words = ["--permission", "email.send", "--permission", "email.history", "--rate-limit", "100"]
    said = await cli("keys", "add", "ci", *words, "--expires", "2027-01-01T00:00:00Z", "--environment", "ci")
    assert said == (0, "sk_new\n", "")
    assert api.asked[0].body == {
        "name": "ci",
        "permissions": ["email.send", "email.history"],
        "expires_at": "2027-01-01T00:00:00Z",
        "environment": "ci",
        "rate_limit": 100,
    }


async def test_all_is_every_permission_there_is(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/keys", {"id": ID, "name": "ci", "key": "sk_new"})
    await cli("keys", "add", "ci", "--permission", "all")
    assert len(api.asked[0].body["permissions"]) == 16


async def test_keys_are_listed_without_their_tokens(api: StubApi, cli: CommandLine) -> None:
    row = {
        "id": ID,
        "name": "ci",
        "permissions": ["email.send"],
        "environment": None,
        "rate_limit": 60000,
        "created_at": "2026-11-24T12:00:00Z",
        "expires_at": None,
        "last_used_at": None,
    }
    api.answer("GET", "/keys", [row])
    assert (await cli("keys", "list")).out.splitlines()[1].split() == [
        ID,
        "ci",
        "never",
        "never",
        "60000",
        "email.send",
    ]


KEY = {
    "algorithm": "rsa",
    "selector": "s202611-rsa-0123ab",
    "record_name": "s202611-rsa-0123ab._domainkey.example.com",
    "record_value": "v=DKIM1; k=rsa; p=" + "A" * 392,
}


async def test_the_dns_records_of_an_account_are_shown_once_and_whole(
    api: StubApi, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    both = [{"address": f"{name}@example.com", "name": "", "dkim": [KEY]} for name in "ab"]
    api.answer("GET", f"/accounts/{ID}", ACCOUNT | {"identities": both})
    lines = (await cli("accounts", "show", ID)).out.splitlines()
    assert lines.count(KEY["record_name"]) == 1
    assert lines.count(KEY["record_value"]) == 1


async def test_an_account_is_told_to_sign_and_keeps_its_identities(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    api.answer("PATCH", f"/accounts/{ID}", ACCOUNT)
    assert (await cli("accounts", "edit", ID, "--dkim", "both")).code == 0
    hello = {"address": "hello@example.com", "name": "Hello", "dkim": ["rsa", "ed25519"]}
    assert api.asked[-1].body == {"identities": [hello]}
    await cli("accounts", "edit", ID, "--identity", "b@example.com", "--dkim", "none")
    assert api.asked[-1].body == {"identities": [{"address": "b@example.com", "dkim": []}]}


async def test_new_keys_are_shown_with_what_they_wait_for(api: StubApi, cli: CommandLine) -> None:
    hello = {
        "address": "hello@example.com",
        "name": "",
        "dkim": [KEY, KEY | {"selector": "s2", "waits": True}],
    }
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    api.answer("POST", f"/accounts/{ID}/rotate-dkim", ACCOUNT | {"identities": [hello]})
    told = await cli("accounts", "rotate-dkim", ID)
    headings = [line for line in told.out.splitlines() if line.startswith("DKIM")]
    assert headings == [
        "DKIM rsa: publish this TXT record",
        "DKIM rsa: publish this TXT record; verify then puts it in the old one's place",
    ]


async def test_verify_says_what_dns_shows(api: StubApi, cli: CommandLine) -> None:
    api.answer("GET", f"/accounts/{ID}", ACCOUNT)
    shown = [{"selector": "s1", "record_name": "s1._domainkey.a", "dns": "missing", "message": "no record"}]
    api.answer("POST", f"/accounts/{ID}/verify", {"ok": True, "checks": [], "dkim": shown})
    assert await cli("accounts", "verify", ID) == (0, "no    dkim s1: missing: no record\n", "")
