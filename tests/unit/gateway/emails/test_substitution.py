"""The quick way says what Jinja says, or nothing at all."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.emails import rendering
from services.gateway.emails.rendering import TemplateError, Work

PARTS = st.sampled_from(
    [
        "{{ a }}", "{{ b.c }}", "{{ b.c.d }}", '{{ b["c"] }}', "{{ l[0] }}", "{{ l[-1] }}", "{{ l[7].c }}", "{{- a -}}",
        "{{ b.0 }}", "{{ a.items }}", "{{ 5 }}", "{{ true }}", "{{ a|upper }}", "{# no #}", " <p> ", "\r\n", "&amp;", "x",
    ]
)  # fmt: skip
LEAVES = st.one_of(
    st.text(), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False), st.just("<&'\">")
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["c", "d", "0"]), inner),
    max_leaves=6,
)
VARIABLES = st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES, "l": VALUES})


def _told(text: rendering.Text, variables: dict[str, Any]) -> str:
    try:
        return text.render(variables, Work())
    except TemplateError as error:
        return f"error {error}"


@given(st.lists(PARTS, min_size=1, max_size=6), VARIABLES, st.booleans())
def test_it_renders_what_jinja_renders(parts: list[str], variables: dict[str, Any], html: bool) -> None:
    quick = rendering.compiled("{{ a }}" + "".join(parts), html=html)
    slow = rendering._compile("{{ a }}" + "".join(parts), rendering._HTML if html else rendering._PLAIN)
    slow._quick = None
    assert _told(quick, variables) == _told(slow, variables)


@pytest.mark.parametrize(
    ("source", "is_quick"),
    [
        ("Dear {{ name }}, {{ order.lines[0].title }}", True),
        ("{{ name|upper }}", False),
        ("{% if name %}x{% endif %}", False),
        ("{{ name }}{{ 5 }}", False),
    ],
)
def test_only_texts_that_put_values_in_their_places_are_quick(source: str, is_quick: bool) -> None:
    assert (rendering.compiled(source, html=False)._quick is not None) is is_quick


def test_what_is_too_long_is_left_to_be_refused() -> None:
    text = rendering.compiled("{{ a }}{{ a }}", html=False)
    assert text._quick is not None
    assert text._quick.render({"a": "x" * (rendering.MAX_OUTPUT // 2 + 1)}) is None


@pytest.mark.parametrize("value", ["&" * 900_000, "x" * 900_000, "&" * 5000])
def test_what_would_be_too_long_is_not_made_first(value: str) -> None:
    text = rendering.compiled("{{ x }}" * 300, html=True)
    tracemalloc.start()
    try:
        with pytest.raises(TemplateError, match="longer than"):
            text.render({"x": value}, Work())
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()
