"""`sendlog ingest --dry-run`: what each message is, with nothing running anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.controls.servers import ROOT

OWN = ROOT / "tests" / "corpus" / "own"
REAL = ROOT.parent / "shared" / "testkit" / "dsn-real"


def ingest(*words: str, code: int = 0, given: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENDLOG_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "ingest", *words],
        input=given,
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment | {"SENDLOG_HOME": "/nowhere"} | more,
        timeout=60,
    )
    assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
    return done


def told(*words: str, given: bytes = b"") -> list[dict[str, Any]]:
    done = ingest("--dry-run", "--json", *words, given=given)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "kind", "signal", "class_", "code", "auto"),
    [
        ("apple-unknown.eml", "dsn", "bounced", "hard", "5.1.1", True),
        ("exchange-online-full.eml", "dsn", "bounced", "soft", "5.2.2", True),
        ("postfix-delayed.eml", "dsn", "delayed", "delayed", "4.4.1", True),
        ("exchange-success.eml", "dsn", "delivered", "delivered", "2.0.0", True),
        ("mdn-displayed.eml", "mdn", "read", "displayed", None, True),
        ("mdn-deleted.eml", "mdn", None, "deleted", None, True),
        ("arf-abuse.eml", "complaint", "complained", "abuse", None, True),
        ("arf-not-spam.eml", "complaint", None, "not-spam", None, True),
        ("auto-de.eml", "reply", "auto_replied", "auto-reply", None, True),
        ("reply-gmail.eml", "reply", "replied", None, None, False),
        ("nothing-ordinary.eml", "other", None, None, None, False),
    ],
)
def test_each_kind_is_told_as_what_it_is(
    name: str, kind: str, signal: str | None, class_: str | None, code: str | None, auto: bool
) -> None:
    (found,) = told(str(OWN / name))
    assert (found["file"], found["kind"], found["signal"]) == (str(OWN / name), kind, signal)
    assert (found["class"], found["code"], found["auto"]) == (class_, code, auto)
    assert {"smtp_code", "category", "recipients", "suggested_action"} <= found.keys()


def test_the_worst_of_several_recipients_speaks_for_a_report() -> None:
    (found,) = told(str(OWN / "postfix-two-fates.eml"))
    assert [one["class"] for one in found["findings"]] == ["hard", "soft"]
    assert found["class"] == "hard"
    assert found["suggested_action"]


def test_a_delivery_needs_no_action() -> None:
    (found,) = told(str(OWN / "exchange-success.eml"))
    assert (found["suggested_action"], found["category"]) == (None, None)


def test_directories_mboxes_and_standard_input_are_taken_message_by_message(tmp_path: Path) -> None:
    letters = [(OWN / name).read_bytes() for name in ("apple-unknown.eml", "reply-gmail.eml")]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.eml").write_bytes(letters[0])
    separator = b"From MAILER-DAEMON Mon Jan  5 10:00:00 2026\n"
    mbox = b"".join(separator + letter + b"\n\n" for letter in letters)
    (tmp_path / "in" / "two.mbox").write_bytes(mbox)
    found = [(one["file"].removeprefix(str(tmp_path)), one["kind"]) for one in told(str(tmp_path))]
    assert found == [("/in/one.eml", "dsn"), ("/in/two.mbox#1", "dsn"), ("/in/two.mbox#2", "reply")]
    assert [(one["file"], one["kind"]) for one in told("-", given=mbox)] == [("-#1", "dsn"), ("-#2", "reply")]


def test_whatever_a_file_holds_is_told_as_something(tmp_path: Path) -> None:
    for number, data in enumerate([b"", b"\0" * 1000, bytes(range(256)) * 50, b"From: <\n((((" * 2000]):
        (tmp_path / f"{number}\n.eml").write_bytes(data)
    assert [one["kind"] for one in told(str(tmp_path))] == ["other"] * 4


def test_a_file_that_is_not_there_is_told_and_the_others_are_taken() -> None:
    done = ingest("--dry-run", "/nowhere.eml", str(OWN / "apple-unknown.eml"), code=1)
    assert b"dsn hard 5.1.1 invalid_recipient about oda@icloud.com" in done.stdout
    assert done.stderr == b"sendlog: /nowhere.eml: No such file or directory\n"


def test_without_a_tracker_it_says_where_it_would_look() -> None:
    done = ingest(str(OWN / "apple-unknown.eml"), code=3)
    assert b"SENDLOG_INGRESS_URL is not set" in done.stderr
    done = ingest(str(OWN / "apple-unknown.eml"), code=3, SENDLOG_INGRESS_URL="smtp://127.0.0.1:1")
    assert b"refused" in done.stderr
    done = ingest(str(OWN / "apple-unknown.eml"), code=2, SENDLOG_INGRESS_URL="http://127.0.0.1:1")
    assert b"must be like smtp://" in done.stderr


@pytest.mark.skipif(not REAL.exists(), reason="the test kit is absent: no shared/testkit/dsn-real")
def test_every_real_report_of_the_test_kit_is_right() -> None:
    wanted = [json.loads(line) for line in (REAL / "manifest.jsonl").read_text().splitlines()]
    found = told(*(str(REAL.parent / one["file"]) for one in wanted))
    for want, got in zip(wanted, found, strict=True):
        assert got["class"] in want["accept"], want["file"]
        assert got["code"] == want["expected_status"]
        if want["expected_recipient"]:
            assert got["recipients"] == [want["expected_recipient"]]
