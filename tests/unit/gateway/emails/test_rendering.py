import time

import pytest

from services.gateway.emails import effort, fields, rendering
from services.gateway.templates import budget
from tests.unit.gateway.emails.requests import accepted, check, paths

VARIABLES = {
    "name": "<Ann & Bob>",
    "order": {"id": 7, "items": [{"title": "Tea"}, {"title": "Cup"}], "_hidden": "x", "items_": None},
    "yes": True,
    "nothing": None,
    "price": 9.5,
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hello {{ name }}", "Hello <Ann & Bob>"),
        ("{{name}}{{ name }}", "<Ann & Bob><Ann & Bob>"),
        ("{{ order.id }}", "7"),
        ("{{ order.items[1].title }}", "Cup"),
        ("{{ order['id'] }}", "7"),
        ("{{ yes }}/{{ nothing }}/{{ price }}", "true//9.5"),
        ("{{ absent | default('friend') }}", "friend"),
        ("{{ name | upper }}", "<ANN & BOB>"),
        ("{{ order.absent | default(name) }}", "<Ann & Bob>"),
        ("no template, only } and { and a line\n", "no template, only } and { and a line\n"),
        ("{# a comment #}x", "x"),
        ("{{ nothing | upper }}/{{ yes | e }}", "/true"),
    ],
)
def test_an_expression_is_replaced_by_its_value(source: str, expected: str) -> None:
    assert rendering.render(source, VARIABLES, html=False, work=rendering.Work()) == expected


def test_values_are_escaped_in_html_only() -> None:
    made = accepted(
        subject="{{ name }}", text="{{ name }}", html="<b title='{{ name }}'>", variables={"name": "<'&\">"}
    )
    assert made.subject == made.text == "<'&\">"
    assert made.html == "<b title='&lt;&#39;&amp;&#34;&gt;'>"


def test_braces_stay_as_they_are_without_variables() -> None:
    made = accepted(subject="{{ name }}", text="{% for x in y %}")
    assert (made.subject, made.text) == ("{{ name }}", "{% for x in y %}")


def test_a_missing_variable_is_named_with_the_part_that_needs_it() -> None:
    _, problems, templates = check(
        subject="{{ name }} {{ city }}", text="{{ order.id }}", variables={"order": {}}
    )
    assert not problems
    assert [(problem.path, problem.message) for problem in templates] == [
        ("$.subject", "line 1: 'name' is missing from variables"),
        ("$.subject", "line 1: 'city' is missing from variables"),
        ("$.text", "line 1: 'order.id' is missing from variables"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "{% set a = 1 %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% macro m() %}{% endmacro %}",
        "{{ name() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ name | attr('__class__') }}",
        "{{ order._hidden }}",
        "{{ _private }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ name ~ name }}",
        "{{ range(10) }}",
        "{{ name | safe }}",
        "{{ name | format(1) }}",
        "{{ order[name] }}",
        "{{ [1, 2] }}",
        "{{ self }}",
        "{{ order }}",
        "{{ order.items }}",
        "{{ name",
        "{# open",
        "{{ }}",
        "{{ name | upper | lower | upper | lower | upper | lower }}",
    ],
)
def test_whatever_could_call_store_or_reach_python_is_refused(source: str) -> None:
    with pytest.raises(rendering.TemplateError):
        rendering.render(source, VARIABLES, html=False, work=rendering.Work())


@pytest.mark.parametrize("attribute", ["upper", "items", "keys", "format", "real"])
def test_a_dot_never_reaches_a_method_of_python(attribute: str) -> None:
    values: list[object] = ["text", {}, [], 5]
    for value in values:
        with pytest.raises(rendering.TemplateError):
            rendering.render(f"{{{{ a.{attribute} }}}}", {"a": value}, html=False, work=rendering.Work())


@pytest.mark.parametrize(
    "source",
    [
        "{{ a" + ".b" * 400_000 + " }}",
        "{{ a" + "|d" * 300_000 + " }}",
        "{{ " + "(" * 300_000,
        "{{ " + "9" * 900_000 + " }}",
        "{{ a }}" * 100_000,
        "{" * 1_000_000,
        "{{ a }}{#" + "{#" * 400_000,
        "{{ '" + "\\'" * 400_000,
    ],
)
def test_a_megabyte_of_malice_is_refused_within_a_second(source: str) -> None:
    began = time.process_time()
    with pytest.raises(rendering.TemplateError):
        rendering.render(source, {"a": "x"}, html=True, work=rendering.Work())
    assert time.process_time() - began < 1


def test_a_small_template_cannot_make_a_large_text() -> None:
    with pytest.raises(rendering.TemplateError, match="longer than"):
        rendering.render("{{ a }}" * 3, {"a": "x" * 400_000}, html=False, work=rendering.Work())


FILTERED = "{{ (a|e|upper|trim|title)|d('') }}"


def test_filters_over_a_large_variable_are_refused_within_a_second() -> None:
    send = {"subject": "s", "html": FILTERED * 200, "text": FILTERED * 200, "variables": {"a": " " * 900_000}}
    began = time.process_time()
    _, _, templates = check(**send)
    assert time.process_time() - began < 1
    assert paths(templates) == ["$.html", "$.text"]
    assert "filters in one email" in templates[0].message


def test_html_and_text_share_one_budget_of_filters() -> None:
    half = {"a": "x" * (budget.MAX_WORK * 2 // 3 // 4)}
    four = "{{ a|trim|trim|trim|trim|d('') }}"
    assert check(html=four, variables=half)[2] == []
    assert paths(check(html=four, text=four, variables=half)[2]) == ["$.text"]


def test_an_object_is_not_shown_as_text_by_a_filter_either() -> None:
    with pytest.raises(rendering.TemplateError, match="an object cannot be shown"):
        rendering.render("{{ order | upper }}", VARIABLES, html=False, work=rendering.Work())


@pytest.mark.parametrize("variables", [{"a": "x" * 70_000}, {"a": [["y"] * 10_000]}, {"k" * 70_000: 1}])
def test_an_email_with_large_variables_is_checked_in_a_thread(variables: dict[str, object]) -> None:
    assert effort.is_large(fields.Send(text="{{ a }}", variables=variables))
    assert not effort.is_large(fields.Send(text="{{ a }}", variables={"a": "x" * 1000, "b": [1, 2]}))
