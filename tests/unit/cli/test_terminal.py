"""What is printed: nothing of a stranger's is obeyed, nothing is wider than it may be."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import terminal
from cli.terminal import Terminal


class _Screen(io.StringIO):
    """A terminal as wide as COLUMNS says."""

    def isatty(self) -> bool:
        return True


def _lines(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x9b31m", "\ufffd31m"),
        ("a\rb\nc\td", "a␍b␊c␉d"),
        ("\u202egpj.exe", "\ufffdgpj.exe"),
        ("a\u2028b", "a\ufffdb"),
        ("\x7f\x08", "␡␈"),
        ("\udc80", "\ufffd"),
    ],
)
def test_a_control_of_a_strangers_is_shown_not_sent(hostile: str, shown: str) -> None:
    assert terminal.clean(hostile) == shown


def test_letters_of_every_script_stay_as_they_are() -> None:
    text = "Żółć 日本語 עברית ✉ 👩\u200d👩 é"
    assert terminal.clean(text) == text


def test_text_keeps_its_lines() -> None:
    assert terminal.clean_text("a\r\n\tb\x1b[2J") == "a\n\tb␛[2J"


@given(st.text())
def test_nothing_printed_moves_the_cursor(text: str) -> None:
    for shown in (terminal.clean(text), terminal.as_json(text)):
        assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
        shown.encode()


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda s: st.lists(s) | st.dictionaries(st.text(), s))
)
def test_json_says_what_it_was_given(data: object) -> None:
    assert json.loads(terminal.as_json(data)) == data


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("👩\u200d👩", 4)])
def test_a_character_takes_the_columns_it_takes(text: str, columns: int) -> None:
    assert terminal.width(text) == columns


@given(st.text(), st.integers(1, 30))
def test_what_is_cut_fits(text: str, columns: int) -> None:
    assert terminal.width(terminal.fit(text, columns)) <= columns


def test_a_table_is_aligned() -> None:
    out = io.StringIO()
    Terminal(out).table(("ID", "NAME"), [("1", "日本"), ("22", "x")])
    assert _lines(out) == ["ID  NAME", "1   日本", "22  x"]


def test_nothing_is_cut_where_nobody_looks() -> None:
    out = io.StringIO()
    Terminal(out).table(("ID", "SUBJECT"), [("1", "s" * 500)])
    assert "s" * 500 in out.getvalue()


def test_a_table_fits_the_screen_and_its_ids_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("NO_COLOR", "1")
    out = _Screen()
    Terminal(out).table(("ID", "TO", "SUBJECT"), [("i" * 36, "t" * 80, "s" * 80)])
    assert max(map(len, _lines(out))) == 70
    assert "i" * 36 in out.getvalue()


def test_a_screen_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Terminal(_Screen()).status("failed") == "\x1b[31mfailed\x1b[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_whoever_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(name, value)
    assert Terminal(_Screen()).status("failed") == "failed"


def test_a_pipe_has_no_colours() -> None:
    assert Terminal(io.StringIO()).status("failed") == "failed"
