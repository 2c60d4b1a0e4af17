import json

import pytest

from services.gateway.errors import ApiError
from tests.unit.gateway.emails.requests import GOOD, check, check_text, paths

LINE_BREAKERS = ["\r", "\n", "\r\n", "\0", "\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1b"]
ESCAPED = ["\\r", "\\n", "\\r\\n", "\\u000d", "\\u000a", "\\u2028", "\\u0085"]
# Every place of a request whose text ends up in a header, with the path that a problem there must name.
PLACES = [
    ("subject", "Hello{}Bcc: eve@world.test", "$.subject"),
    ("from_name", "Ann{}Bcc: eve@world.test", "$.from_name"),
    ("from", "Ann{}x <ann@world.test>", "$.from"),
    ("from", "ann@world.test{}", "$.from"),
    ("to", "Ann{}x <ann@world.test>", "$.to"),
    ("to", ["ann@world.test{}RCPT TO:<eve@world.test>"], "$.to[0]"),
    ("cc", ["ann@world.test{}"], "$.cc[0]"),
    ("bcc", ["bob@world.test", "{}ann@world.test"], "$.bcc[1]"),
    ("reply_to", "Ann {} <ann@world.test>", "$.reply_to"),
    ("headers", {"X-A": "a{}Bcc: eve@world.test"}, '$.headers["X-A"]'),
    ("tags", ["a{}b"], "$.tags[0]"),
]
OURS = [
    *("Bcc", "bcc", "Received", "DKIM-Signature", "Return-Path", "Content-Type", "content-anything"),
    *("MIME-Version", "Message-ID", "Auto-Submitted", "From", "To", "Subject", "Date", "Sender", "Reply-To"),
]


def _filled(template: object, text: str) -> object:
    return json.loads(json.dumps(template).replace("{}", json.dumps(text)[1:-1]))


@pytest.mark.parametrize(("field", "template", "path"), PLACES)
@pytest.mark.parametrize("text", LINE_BREAKERS)
def test_nothing_that_ends_a_line_gets_into_a_header(
    field: str, template: object, path: str, text: str
) -> None:
    _, problems, _ = check(**{field: _filled(template, text)})
    assert paths(problems) == [path]


@pytest.mark.parametrize(("field", "template", "path"), PLACES)
@pytest.mark.parametrize("escape", ESCAPED)
def test_an_escape_in_json_is_what_it_stands_for(
    field: str, template: object, path: str, escape: str
) -> None:
    body = json.dumps(GOOD | {field: template}).replace("{}", escape)
    _, problems, _ = check_text(body)
    assert paths(problems) == [path]


@pytest.mark.parametrize("name", ["X-A\r\nBcc", "X-A\n", "X A", "X-A:", "", "Ü", "X-\0"])
def test_a_header_name_cannot_end_its_line(name: str) -> None:
    _, problems, _ = check(headers={name: "x"})
    assert paths(problems) == [f"$.headers[{json.dumps(name, ensure_ascii=False)}]"]


@pytest.mark.parametrize(
    "name",
    OURS,
)
def test_a_custom_header_cannot_be_one_of_ours(name: str) -> None:
    assert paths(check(headers={name: "x"})[1]) == [f'$.headers["{name}"]']


@pytest.mark.parametrize("text", LINE_BREAKERS)
def test_a_variable_cannot_end_the_subject(text: str) -> None:
    _, problems, templates = check(
        subject="Hello {{ name }}", variables={"name": f"Ann{text}Bcc: eve@world.test"}
    )
    assert not templates
    assert paths(problems) == ["$.subject"]


def test_a_variable_cannot_make_the_subject_too_long() -> None:
    assert paths(check(subject="{{ a }}", variables={"a": "x" * 999})[1]) == ["$.subject"]


@pytest.mark.parametrize("field", ["html", "text"])
def test_a_body_has_no_nul_not_even_from_a_variable(field: str) -> None:
    assert paths(check(**{field: "a\0b"})[1]) == [f"$.{field}"]
    assert paths(check(**{field: "{{ a }}", "variables": {"a": "\0"}})[1]) == [f"$.{field}"]


@pytest.mark.parametrize("pair", [{"a\0": "x"}, {"a": "x\0"}])
def test_metadata_has_no_nul(pair: dict[str, str]) -> None:
    assert len(check(metadata=pair)[1]) == 1


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00", "\\ud800\\u0041", "\\udfff\\ud800"])
@pytest.mark.parametrize("field", ["subject", "text", "html", "from_name"])
def test_half_a_surrogate_pair_is_no_json(field: str, escape: str) -> None:
    with pytest.raises(ApiError) as refusal:
        check_text(json.dumps(GOOD | {field: "@"}).replace("@", escape, 2))
    assert refusal.value.status == 400


def test_a_header_given_twice_in_two_spellings_is_refused() -> None:
    _, problems, _ = check(headers={"References": "<1@a>", "X-A": "1", "references": "<2@a>"})
    assert paths(problems) == ['$.headers["references"]']
