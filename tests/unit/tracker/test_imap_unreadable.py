"""A message whose answer cannot be read is asked for once more, alone, and then counted: none is lost silently."""

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.tracker.imap import Mailbox, Server
from services.tracker.imap_answers import Item

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ITEMS = [Item(7, 3, NOW), Item(8, 3, NOW)]
LISTED = b"2 (UID 8 RFC822.SIZE 3)"
GOOD: Any = [(b"1 (UID 7 BODY[] {3}", b"one"), b")"]
QUOTED = b'2 (UID 8 BODY[] "two")'
SERVER = Server(
    host="imap.test", port=143, tls="none", auth="password", username="u", secret="s", mailbox="INBOX"
)  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What the server answers, each with the numbers that must be asked for then."""
    script: list[tuple[str, Any]] = []

    def fetch(_mailbox: Mailbox, numbers: str, _what: str, _room: int) -> Any:
        expected, answer = script.pop(0)
        assert numbers == expected
        return answer

    monkeypatch.setattr(Mailbox, "_fetch", fetch)
    return script


def passed_over(missing: str) -> float:
    return REGISTRY.get_sample_value("sendlog_imap_unreadable_total", {"missing": missing}) or 0.0


async def test_a_body_that_did_not_come_is_asked_for_alone(asked: list[tuple[str, Any]]) -> None:
    before = passed_over("body")
    asked += [("7,8", [*GOOD, QUOTED]), ("8", [(b"2 (UID 8 BODY[] {3}", b"two"), b")"])]
    assert await Mailbox(SERVER).bodies(ITEMS) == {7: b"one", 8: b"two"}
    assert (asked, passed_over("body")) == ([], before)


@pytest.mark.parametrize(("there", "counted"), [([LISTED], 1), ([], 0)])
async def test_a_body_that_never_comes_is_counted_unless_it_has_left(
    asked: list[tuple[str, Any]], there: list[bytes], counted: int
) -> None:
    before = passed_over("body")
    asked += [("7,8", [*GOOD, QUOTED]), ("8", [QUOTED]), ("8:8", there)]
    assert await Mailbox(SERVER).bodies(ITEMS) == {7: b"one"}
    assert (asked, passed_over("body") - before) == ([], counted)


@pytest.mark.parametrize(("again", "found", "counted"), [(LISTED, [8], 0), (b"2 (UID 8)", [], 1)])
async def test_a_message_without_a_size_is_asked_for_alone_and_then_counted(
    asked: list[tuple[str, Any]], again: bytes, found: list[int], counted: int
) -> None:
    before = passed_over("size")
    asked += [
        ("7:9", [b"2 (UID 8 FLAGS ())", b"3 (UID 9 RFC822.SIZE 5)", b"3 (UID 9 FLAGS ())"]),
        ("8", [again]),
    ]
    assert [item.uid for item in await Mailbox(SERVER).listed(7, 9)] == [*found, 9]
    assert (asked, passed_over("size") - before) == ([], counted)
