"""`sendlog send`: what is asked of the API, and that an unsure send is repeated with the same key only."""

import io
import json
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import pytest

from cli import api as api_module
from tests.integration.cli.stub_api import CommandLine, StubApi

SENT = {"id": "019abc12-7d00-7000-8000-00000000abcd", "status": "queued", "to": "ann@world.test"}
SEND = ("send", "--to", "ann@world.test", "--subject", "Hello", "--text", "Hi")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "LONGEST_PAUSE", 0.01)


async def test_the_id_is_all_that_is_printed(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/emails/send", SENT)
    assert await cli(*SEND) == (0, f"{SENT['id']}\n", "")


async def test_the_email_is_what_the_options_say(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/emails/send", SENT)
    words = [
        "--cc",
        "cho@world.test",
        "--bcc",
        "dan@world.test",
        "--from",
        "hello@sendlog.test",
        "--html",
        "<p>Hi",
    ]
    words += [
        "--tag",
        "a",
        "--tag",
        "b",
        "--metadata",
        "k=v=w",
        "--header",
        "X-A: b: c",
        "--reply-to",
        "r@world.test",
    ]
    words += ["--at", "2026-11-25T08:00:00Z", "--expires-at", "2026-11-26T08:00:00Z", "--from-name", "Me"]
    assert (await cli(*SEND, "--to", "bob@world.test", *words)).code == 0
    assert api.asked[0].body == {
        "to": ["ann@world.test", "bob@world.test"],
        "cc": ["cho@world.test"],
        "bcc": ["dan@world.test"],
        "from": "hello@sendlog.test",
        "from_name": "Me",
        "reply_to": ["r@world.test"],
        "subject": "Hello",
        "text": "Hi",
        "html": "<p>Hi",
        "tags": ["a", "b"],
        "metadata": {"k": "v=w"},
        "headers": {"X-A": "b: c"},
        "scheduled_at": "2026-11-25T08:00:00Z",
        "expires_at": "2026-11-26T08:00:00Z",
    }


async def test_one_recipient_is_a_string(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/emails/send", SENT)
    await cli(*SEND)
    assert api.asked[0].body["to"] == "ann@world.test"
    assert api.asked[0].headers["Authorization"] == "Bearer sk_stub"


async def test_the_text_comes_from_standard_input(
    api: StubApi, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer("POST", "/emails/send", SENT)
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe\n"))
    await cli("send", "--to", "ann@world.test", "--subject", "Hello", "--text-file", "-")
    assert api.asked[0].body["text"] == "from a pipe\n"


async def test_the_html_comes_from_a_file(api: StubApi, cli: CommandLine, tmp_path: Path) -> None:
    api.answer("POST", "/emails/send", SENT)
    (tmp_path / "a.html").write_text("<p>é</p>", encoding="utf-8")
    await cli("send", "--to", "ann@world.test", "--subject", "Hello", "--html-file", str(tmp_path / "a.html"))
    assert api.asked[0].body["html"] == "<p>é</p>"


async def test_each_send_has_a_key_of_its_own(api: StubApi, cli: CommandLine) -> None:
    api.answer("POST", "/emails/send", SENT)
    await cli(*SEND)
    await cli(*SEND)
    first, second = (asked.headers["Idempotency-Key"] for asked in api.asked)
    assert first != second
    assert min(len(first), len(second)) >= 32


async def test_an_unconfirmed_send_is_repeated_with_the_same_key(api: StubApi, cli: CommandLine) -> None:
    api.refuse("POST", "/emails/send", 503, "UNAVAILABLE", "not confirmed", retry_after=1)
    api.raw("POST", "/emails/send", 502, "<html>bad gateway</html>")
    api.answer("POST", "/emails/send", SENT)
    assert (await cli(*SEND)).code == 0
    assert len(api.asked) == 3
    assert len({asked.headers["Idempotency-Key"] for asked in api.asked}) == 1
    assert len({json.dumps(asked.body) for asked in api.asked}) == 1


async def test_a_send_that_stays_unconfirmed_names_its_key(api: StubApi, cli: CommandLine) -> None:
    api.refuse("POST", "/emails/send", 503, "UNAVAILABLE", "the broker did not confirm")
    said = await cli(*SEND, "--idempotency-key", "order-4711")
    assert said == (
        3,
        "",
        "sendlog: not confirmed: the broker did not confirm; repeat with --idempotency-key order-4711\n",
    )
    assert len(api.asked) == api_module.TRIES


@pytest.mark.parametrize(
    ("status", "code"), [(400, 1), (401, 4), (403, 4), (409, 1), (413, 1), (422, 1), (429, 3)]
)
async def test_a_refusal_is_never_repeated(api: StubApi, cli: CommandLine, status: int, code: int) -> None:
    api.refuse("POST", "/emails/send", status, "SOME_CODE", "no")
    assert await cli(*SEND) == (code, "", "sendlog: no\n")
    assert len(api.asked) == 1


async def test_every_problem_is_told_on_one_line(api: StubApi, cli: CommandLine) -> None:
    details = [
        {"path": "$.to", "message": "has no @"},
        {"path": "$.subject", "message": "is\ntoo \x1b[1mlong"},
    ]
    api.refuse(
        "POST",
        "/emails/send",
        400,
        "VALIDATION_ERROR",
        "the request is not valid; see details",
        details=details,
    )
    said = await cli(*SEND)
    assert said.err == "sendlog: the request is not valid: $.to has no @; $.subject is␊too ␛[1mlong\n"


@pytest.mark.parametrize(
    "words",
    [
        ("send", "--to", "a@b.test", "--subject", "x"),
        ("send", "--subject", "x", "--text", "y"),
        (*SEND, "--text-file", "-"),
        (*SEND, "--metadata", "novalue"),
        (*SEND, "--header", "novalue"),
        (*SEND, "--at", "+10"),
        ("send", "--to", "a@b.test", "--subject", "x", "--text-file", "/nowhere/at/all"),
        ("list", "--limit", "0"),
        ("list", "--stat", "sent"),
        ("frobnicate",),
        (),
        ("accounts",),
        ("accounts", "edit", "x"),
        ("keys", "add", "x"),
        ("cancel", ".."),
        ("show", ""),
    ],
    ids=" ".join,
)
async def test_a_wrong_command_line_asks_nothing(
    api: StubApi, cli: CommandLine, words: tuple[str, ...]
) -> None:
    said = await cli(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err
    assert api.asked == []


async def test_nobody_there_is_an_exit_code_of_its_own(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDLOG_HOME", "/nowhere")
    monkeypatch.setenv("SENDLOG_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SENDLOG_API_KEY", "sk_x")
    said = await cli("list")
    assert said == (
        3,
        "",
        "sendlog: http://127.0.0.1:9 does not answer: Connect call failed ('127.0.0.1', 9)\n",
    )


async def test_another_server_is_not_taken_for_ours(api: StubApi, cli: CommandLine) -> None:
    api.raw("GET", "/emails", 200, "<html>Welcome to nginx</html>")
    said = await cli("list")
    assert said.code == 2
    assert "not Sendlog's API" in said.err


async def test_files_go_as_a_form_and_again_under_the_same_key(
    api: StubApi, cli: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "ž naïve.txt").write_bytes(b"line\r\n.\r\n")
    (tmp_path / "b.bin").write_bytes(b"two")
    api.refuse("POST", "/emails/send/multipart", 503, "UNAVAILABLE", "not now")
    api.answer("POST", "/emails/send/multipart", SENT)
    files = ("--attach", str(tmp_path / "ž naïve.txt"), "--attach", str(tmp_path / "b.bin"))
    words = ("--to", "bob@world.test", "--metadata", "a=b", "--tag", "[x]", "--idempotency-key", "k", *files)
    assert (await cli(*SEND, *words)).code == 0
    first, second = api.asked
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "k"
    for asked in (first, second):
        kind = asked.headers["Content-Type"]
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n{asked.body}".encode())
        parts = [
            (
                part.get_param("name", header="Content-Disposition"),
                part.get_filename(),
                part.get_payload(decode=True),
            )
            for part in message.iter_parts()
        ]
        assert parts == [
            ("to", None, b'["ann@world.test", "bob@world.test"]'),
            ("subject", None, b"Hello"),
            ("text", None, b"Hi"),
            ("tags", None, b'["[x]"]'),
            ("metadata", None, b'{"a": "b"}'),
            ("file", "ž naïve.txt", b"line\r\n.\r\n"),
            ("file", "b.bin", b"two"),
        ]


async def test_a_file_that_cannot_be_read_is_said_before_anything_is_asked(
    api: StubApi, cli: CommandLine, tmp_path: Path
) -> None:
    said = await cli(*SEND, "--attach", str(tmp_path / "none.txt"))
    assert said.code == 2
    assert "none.txt: No such file" in said.err
    assert api.asked == []
