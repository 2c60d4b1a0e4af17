"""What counts as JSON, and that nothing which can be read in two ways passes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import json_body
from services.gateway.errors import ApiError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner),
    max_leaves=20,
)  # fmt: skip


def problem(body: bytes) -> tuple[str, str]:
    with pytest.raises(ApiError) as refused:
        json_body.parse(body)
    assert refused.value.code == "VALIDATION_ERROR"
    (detail,) = refused.value.details
    return detail.path, detail.message


@given(VALUES, st.booleans())
def test_whatever_the_stdlib_writes_is_read_back(value: Any, as_ascii: bool) -> None:
    assert json_body.parse(json.dumps(value, ensure_ascii=as_ascii).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b'{"a":1', b"[1,]", b"{} x", b"nul", b"'a'", b"{a:1}", b"\xef\xbb\xbf{}", b'"a\x00b"', b'"a\nb"',
        b"NaN", b'{"a":NaN}', b"Infinity", b"-Infinity", b"1e999", b"1" * 5000,
        b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\u0041"', b'{"\\udfff":1}',
    ],
)  # fmt: skip
def test_what_is_not_one_plain_value_is_refused_at_the_root(body: bytes) -> None:
    assert problem(body)[0] == "$"


@pytest.mark.parametrize(
    "body",
    [
        b'{"to":"a","to":"b"}',
        b'{"to":"a" , "to" :"b"}',
        b'{"to":"a","\\u0074o":"b"}',
        b'[{"a":{"b":1,"b":1}}]',
        b' \n{"a":1,"a":1}',
        b'{"a":1,"a":"\\u003a"}',
        b'{"a":"::","a":"\\u003A"}',
        b'{"a:":1,"a:":2}',
        b'{"a":{"b":":"},"a":{"c":":"}}',
    ],
)
def test_a_key_named_twice_is_refused(body: bytes) -> None:
    assert "twice" in problem(body)[1]


def test_a_key_named_twice_is_found_among_many_at_once() -> None:
    many = ",".join(f'"k{number}":0' for number in range(80_000))
    assert "'k0'" in problem(f'{{{many},"k0":1}}'.encode())[1]


def test_equal_keys_in_different_objects_are_no_duplicates() -> None:
    assert json_body.parse(b'[{"a":{"a":1}},{"a":":"}]') == [{"a": {"a": 1}}, {"a": ":"}]
    assert json_body.parse(b'{"a":"\\u003a\\u003A","b":{"a:":1e5}}') == {"a": "::", "b": {"a:": 1e5}}


def _written(value: Any) -> str:
    """Spell JSON of which an object is a list of pairs, so that a key may be there twice."""
    if isinstance(value, list):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(item)}" for key, item in value) + "}"
    return json.dumps(value).replace("!", "\\u003a")


def _has_twice(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    names = [key for key, _ in value]
    return len(set(names)) < len(names) or any(_has_twice(item) for _, item in value)


@given(
    st.recursive(
        st.text(":!a", max_size=3) | st.integers(),
        lambda inner: st.lists(st.tuples(st.text(":ab", max_size=2), inner), max_size=3),
        max_leaves=12,
    )
)
def test_a_key_named_twice_is_refused_whatever_colons_stand_elsewhere(value: Any) -> None:
    body = _written(value).encode()
    if _has_twice(value):
        assert "twice" in problem(body)[1]
    else:
        json_body.parse(body)


@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_the_deepest_value_that_passes_has_32_levels(pair: str) -> None:
    opening, closing = ('{"a":', "}") if pair == "{}" else ("[", "]")
    json_body.parse((opening * 31 + pair + closing * 31).encode())
    assert "deeper" in problem((opening * 32 + pair + closing * 32).encode())[1]


def test_a_value_too_deep_for_any_parser_is_refused() -> None:
    assert "deeper" in problem(b"[" * 100_000)[1] or problem(b"[" * 100_000)[0] == "$"
    assert "deeper" in problem(b"[" * 100_000 + b"]" * 100_000)[1]


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(json_body.parse(b"[" + b"[]," * 99 + b"[]]")) == 100


def test_every_nul_is_named_by_its_path() -> None:
    with pytest.raises(ApiError) as refused:
        json_body.parse(b'{"a":"x\\u0000","b":["y",{"c":"\\u0000"}],"\\u0000":1}')
    assert [detail.path for detail in refused.value.details] == ["$.a", "$.b[1].c", "$"]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert json_body.parse(b'"\\\\u0000"') == "\\u0000"
