"""What templates can say: conditions, loops, comparisons, sums, filters, tests; each bounded, each error with its line."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.emails import rendering
from services.gateway.templates import budget, filters

VARIABLES: dict[str, Any] = {
    "name": "<A & B>",
    "items": [{"t": "Tea", "p": 2.5, "q": 2}, {"t": "Cup", "p": 3, "q": 1}],
    "order": {"id": 7, "_hidden": "x"},
    "yes": True,
    "no": None,
    "lines": "one\ntwo",
}


def render(source: str, variables: dict[str, Any] | None = None, *, html: bool = False) -> str:
    return rendering.render(
        source, VARIABLES if variables is None else variables, html=html, work=rendering.Work()
    )


def problems(source: str, variables: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(rendering.TemplateError) as raised:
        render(source, variables)
    return list(raised.value.problems)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for i in items %}{{ loop.index }}. {{ i.t }}{% if not loop.last %}, {% endif %}{% endfor %}", "1. Tea, 2. Cup"),
        ("{% for i in items if i.p > 2.6 %}{{ i.t }}{% else %}none{% endfor %}", "Cup"),
        ("{% for i in [] %}{{ i }}{% else %}none{% endfor %}", "none"),
        ("{% for k, v in order | items %}{{ k }}={{ v }};{% endfor %}", "id=7;_hidden=x;"),
        ("{% for k in order %}{{ order[k] }}{% endfor %}", "7x"),
        ("{% for a in [1, 2] %}{% for b in [1, 2] %}{{ a * b }}{% endfor %}{% endfor %}", "1224"),
        ("{% if yes and order.id == 7 %}a{% elif no %}b{% else %}c{% endif %}", "a"),
        ("{% if vip is defined and vip %}{{ vip_code }}{% endif %}ok", "ok"),
        ("{% if name in ['x', 'y'] %}a{% else %}b{% endif %}", "b"),
        ("{{ 'A' in name }}{{ 3 not in [1, 2] }}", "truetrue"),
        ("{{ 'b' if no else 'a' }}", "a"),
        ("{{ '%.2f' | format(items[0].p * items[0].q) }} EUR", "5.00 EUR"),
        ("{{ 7 // 2 }} {{ 7 % 2 }} {{ -1 + 2 }} {{ 9 / 3 }} {{ 'a' + 'b' }}", "3 1 1 3.0 ab"),
        ("{{ 2.345 | round(2) }} {{ 2.6 | round }} {{ -2 | abs }}", "2.35 3 2"),
        ("{{ items | length }} {{ (items | first).t }} {{ (items | last).t }} {{ name | length }}", "2 Tea Cup 7"),
        ("{{ ['a', 1, yes] | join(', ') }}", "a, 1, true"),
        ("{{ 'a long sentence here' | truncate(12) }}|{{ 'short' | truncate(12) }}", "a long...|short"),
        ("{{ 'abcdefgh' | truncate(6, true, '~') }}", "abcde~"),
        ("{{ name | replace('&', 'and') }}", "<A and B>"),
        ("{{ name | urlencode }}", "%3CA%20%26%20B%3E"),
        ("{{ [1, 2] | reverse | join }}{{ 'ab' | reverse }}", "21ba"),
        ("{{ lines | nl2br }}", "one\ntwo"),
        ("{{ 4 is even }}{{ 9 is divisibleby(3) }}{{ no is none }}{{ items is sequence }}{{ order is mapping }}", "true" * 5),
        ("{% raw %}{{ name }}{% endraw %}{# note #}", "{{ name }}"),
        ("{{ order.x.y.z | default('none') }}", "none"),
        ("{{ '' | default('none', true) }}", "none"),
    ],
)  # fmt: skip
def test_a_template_says_what_its_writer_expects(source: str, expected: str) -> None:
    assert render(source) == expected


def test_html_is_escaped_also_in_loops_and_after_filters() -> None:
    source = "{% for i in [name] %}{{ i }}{{ i | upper }}{{ i + i }}{{ [i] | join }}{{ i | truncate(3) }}{% endfor %}"
    assert "<" not in render(source, html=True)
    assert ">" not in render(source, html=True).replace("&gt;", "")
    assert render("{{ lines | nl2br }}{{ name | nl2br }}", html=True) == "one<br>\ntwo&lt;A &amp; B&gt;"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a\n{{ x }}\n{{ y }} {{ x }}", ["line 2: 'x' is missing from variables", "line 3: 'y' is missing from variables"]),
        ("{% for i in items %}\n{{ i.zz }}\n{% endfor %}", ["line 2: 'i.zz' is missing from variables"]),
        ("{% for i in items %}\n\n{{ zz }}{% endfor %}", ["line 3: 'zz' is missing from variables"]),
        ("{% if zz %}x{% endif %}", ["line 1: 'zz' is missing from variables"]),
        ("\n{{ order.customer.name }}", ["line 2: 'order.customer' is missing from variables"]),
        ("{{ items[5].t }}", ["line 1: 'items[5]' is missing from variables"]),
        ("{% for i in name %}{% endfor %}", ["line 1: a loop goes over an array or an object, not a text"]),
        ("{{ name * 2 }}", ["line 1: a text is no number"]),
        ("{{ 1 < 'a' }}", ["line 1: values of different kinds cannot be compared"]),
        ("{{ 1 / 0 }}", ["line 1: division by zero"]),
        ("{{ items == items }}", ["line 1: an array cannot be compared"]),
        ("{{ 'x' | round(1, 2, 3) }}", ["line 1: a filter or test does not take its arguments like this"]),
        ("@media{#a{}", ["line 1: a comment that begins with {# does not end with #}; in CSS, write a space between { and #"]),
    ],
)  # fmt: skip
def test_an_error_names_what_is_wrong_and_its_line(source: str, found: list[str]) -> None:
    assert problems(source) == found


@pytest.mark.parametrize(
    "source",
    [
        "{% set a = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% block b %}{% endblock %}",
        "{% extends 'x' %}",
        "{% from 'x' import y %}",
        "{% call m() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% autoescape false %}{{ name }}{% endautoescape %}",
        "{% for i in items recursive %}{{ loop(i) }}{% endfor %}",
        "{% for loop in items %}{% endfor %}",
        "{% for _x in items %}{% endfor %}",
        "{% for i.t in items %}{% endfor %}",
        "{% for i in range(10) %}{% endfor %}",
        "{{ loop.index }}",
        "{% for i in items %}{{ loop }}{% endfor %}",
        "{% for i in items %}{{ loop.__class__ }}{% endfor %}",
        "{% for i in items %}{{ loop._iterable }}{% endfor %}",
        "{% for i in items %}{{ loop.cycle('a') }}{% endfor %}",
        "{% for i in items %}{{ loop.previtem }}{% endfor %}",
        "{{ 2 ** 9 }}",
        "{{ '%9999d' | format(1) }}",
        "{{ '%s' | format(order) }}",
        "{{ '{0.__class__}' | format(1) | format }}",
        "{{ '%99999d' is even }}",
        "{{ 999999999999999 * 999999999 }}",
        "{{ name | map('upper') }}",
        "{{ name | _loop(1) }}",
        "{{ name | selectattr('x') }}",
        "{{ name is filter }}",
        "{{ name[:2] }}",
        "{{ {'a': 1} }}",
        "{{ (1, 2) }}",
        "{{ order | string }}",
        "{{ name | default(*items) }}",
        "{% if x %}" * 11 + "{% endif %}" * 11,
        "{{ " + "not " * 100 + "yes }}",
        "{{ 1" + " + 1" * 100 + " }}",
    ],
)
def test_whatever_could_store_call_or_reach_python_is_refused(source: str) -> None:
    assert problems(source, VARIABLES | {"x": True})


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in x %}" * 9 + "{% endfor %}" * 9,
        "{% for a in x %}{% for b in x %}{% for c in x %}{{ a }}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}" + "{{ n }}" * 120 + "{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}" + "{{ big | upper | length }}" * 9 + "{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}" + "{{ big == big2 }}" * 9 + "{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}" + "{{ 'q' in many }}" * 9 + "{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}" + "{{ big }}" * 9 + "{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}{{ big | replace('x', big) }}{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x %}" + "y" * 5000 + "{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in x if b in many and b == 99999 %}" + "{{ b }}" * 9 + "{% endfor %}{% endfor %}",
    ],
)  # fmt: skip
def test_a_loop_that_would_never_end_is_refused_within_a_second(source: str) -> None:
    many = list(range(50_000))
    values = {"x": list(range(99)), "n": None, "big": "x" * 400_000, "big2": "x" * 400_000, "many": many}
    began = time.process_time()
    assert problems(source, values)
    assert time.process_time() - began < 1


def test_loops_are_counted_over_all_texts_of_an_email() -> None:
    work = rendering.Work()
    source, values = "{% for a in x %}{% endfor %}", {"x": [0] * (budget.MAX_STEPS * 2 // 3)}
    rendering.render(source, values, html=False, work=work)
    with pytest.raises(rendering.TemplateError, match="steps together"):
        rendering.render(source, values, html=False, work=work)


_NAMES = st.sampled_from(
    ["name", "order", "items", "yes", "no", "x", "loop", "self", "__class__", "_a", "order.id"]
)
_ATOMS = st.one_of(
    _NAMES, st.sampled_from(["1", "'a'", "''.__class__", "[1, name]", "()", "{}", "1.5", "x.__init__"])
)
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and", "or", "is", "|"]), inner).map(" ".join),
        inner.map(lambda one: f"not {one}"),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, st.sampled_from(sorted(filters.NAMES | {"attr", "map", "safe", "_loop"}))).map(" | ".join),
        st.tuples(inner, st.sampled_from(["__globals__", "format", "mro", "t", "items", "index"])).map(".".join),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}[{two[1]}]"),
        st.tuples(inner, inner, inner).map(lambda of: f"{of[0]} if {of[1]} else {of[2]}"),
    ),
    max_leaves=6,
)  # fmt: skip
_TEMPLATES = st.recursive(
    st.one_of(_EXPRESSIONS.map(lambda one: f"{{{{ {one} }}}}"), st.sampled_from(["<b>", "text", "\n"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.tuples(_EXPRESSIONS, inner).map(lambda of: f"{{% for i in {of[0]} %}}{of[1]}{{% endfor %}}"),
        st.tuples(_EXPRESSIONS, inner, inner).map(
            lambda of: f"{{% if {of[0]} %}}{of[1]}{{% else %}}{of[2]}{{% endif %}}"
        ),
    ),
    max_leaves=5,
)


def outcome(source: str, values: dict[str, Any], *, html: bool) -> str | None:
    """Return the text, or what is said to be wrong; None if nothing is said."""
    try:
        return render(source, values, html=html)
    except rendering.TemplateError as error:
        return " ".join(error.problems) or None


@settings(max_examples=1500, deadline=None)
@given(_TEMPLATES, st.booleans())
def test_any_template_renders_or_says_why_and_shows_nothing_of_python(source: str, html: bool) -> None:
    text = outcome(source, VARIABLES, html=html)
    assert text is not None
    for trace in ("<class", "<function", "<built-in", "object at 0x", "LoopContext", "<bound"):
        assert trace not in text


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-10**18, 10**18) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "order", "items", "x"]), _VALUES, max_size=4), _TEMPLATES)
def test_no_value_of_a_client_raises_anything_else(values: dict[str, Any], source: str) -> None:
    assert outcome(source, values, html=True) is not None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=100), st.sampled_from(["{{ a }}", "{{ a | upper }}", "{{ a | nl2br }}", "{{ [a] | join(a) }}", "{{ a | e | replace('x', a) }}", "{{ a | title | trim }}", "{{ (a | e) + a }}", "{{ a | e | truncate(5) }}", "{{ '%s' | format(a | e) }}", "{{ a | e | reverse }}"]))  # fmt: skip
def test_no_value_writes_a_tag_into_html(value: str, source: str) -> None:
    text = render(source, {"a": value}, html=True).replace("<br>", "")
    assert not set(text) & {"<", ">", '"', "'"}


def test_a_thousand_small_renders_take_a_few_hundredths_of_a_second() -> None:
    source = "Hello {{ name }}, your order {{ order.id }} of {{ n }}"
    values = [{"name": f"n{n}", "order": {"id": n}, "n": n} for n in range(1000)]
    took = []
    for _ in range(3):
        began = time.process_time()
        for one in values:
            render(source, one, html=True)
        took.append(time.process_time() - began)
    assert min(took) < 0.1


@pytest.mark.parametrize(
    "name", ["_iterable", "__class__", "previtem", "nextitem", "cycle", "changed", "_undefined"]
)
def test_a_loop_shows_its_counts_and_nothing_else_whatever_a_variable_names(name: str) -> None:
    source = "{% for i in [1, 2, 3] %}{% if loop.index == 2 %}{{ loop[k] | default('nothing') }}{% endif %}{% endfor %}"
    assert render(source, {"k": name}) == "nothing"
    assert render(source, {"k": "index0"}) == "1"
