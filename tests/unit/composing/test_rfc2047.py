import base64
import quopri

import pytest

from shared.mail import rfc2047


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain text", "plain text"),
        ("", ""),
        ("a  b", "a  b"),
        ("a\tb", "a\tb"),
        ("50 % of =it=", "50 % of =it="),
        ("Grüße", "=?utf-8?b?R3LDvMOfZQ==?="),
        ("Grüße an alle Freunde", "=?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle_Freunde?="),
        ("Привет", "=?utf-8?b?0J/RgNC40LLQtdGC?="),
        (" led", "=?utf-8?q?_led?="),
        ("trailed ", "=?utf-8?q?trailed_?="),
        ("a\r\nBcc: b", "a  Bcc: b"),
    ],
)
def test_only_what_must_be_is_encoded_and_by_the_shorter_way(value: str, shown: str) -> None:
    assert rfc2047.field("X-A", value) == f"X-A: {shown}"


def test_long_ascii_is_folded_before_white_space_only() -> None:
    field = rfc2047.field("Subject", "word " * 30 + "end")
    assert all(len(line) <= 78 for line in field.split("\r\n"))
    assert field.replace("\r\n", "") == "Subject: " + "word " * 30 + "end"


def test_a_long_token_stays_whole_while_a_line_can_hold_it() -> None:
    assert rfc2047.field("References", f"<{'x' * 500}@y> <z@y>") == f"References: <{'x' * 500}@y>\r\n <z@y>"
    assert "=?utf-8?q?" in rfc2047.field("X-Token", "x" * 2000)


@pytest.mark.parametrize(
    "text",
    [
        *("a" * n + "mostly plain text ü" * 30 for n in range(8)),
        "ü" * 300,
        "日本語" * 100,
        "👩‍👩‍👧" * 40,
        "aü" * 200,
        "e\u0301" * 100,
    ],
)
def test_no_character_is_split_between_words(text: str) -> None:
    words = rfc2047.encoded(text, column=9).split("\r\n ")
    assert len(words) > 1
    assert len(words[0]) <= 76 - 9
    assert all(len(word) <= 75 for word in words)
    parts = [
        (
            quopri.decodestring(word[10:-2].encode(), header=True)
            if word[8] == "q"
            else base64.b64decode(word[10:-2])
        ).decode()
        for word in words
    ]
    assert "".join(parts) == text


def test_behind_a_very_long_name_a_word_still_has_room() -> None:
    lines = rfc2047.field("X-" + "n" * 74, "ü" * 100).split("\r\n ")
    assert all(len(line) <= 998 for line in lines)
    assert len(lines) < 30
