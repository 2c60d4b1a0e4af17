"""A send by a template, once the template is found: its texts stand in, its problems are told at the variables."""

from typing import Any

from services.gateway.emails import draft, effort, fields
from services.gateway.errors import Problem
from services.gateway.templates.entries import Source, Version

TEXTS = Version(subject="Hi {{ name }}", html="<p>Hi {{ name }}</p>", text="Hi\n{{ name }}")


def check(
    texts: Version | None = TEXTS, **given: Any
) -> tuple[draft.Draft, list[tuple[str, str]], list[tuple[str, str]]]:
    send, problems = fields.read({"to": "ann@world.test", "template_id": "welcome"} | given)
    source = Source("an-id", 3, "welcome", texts) if texts else Problem("$.template_id", "there is none")
    checker = draft.Checker(send, problems, source=source)
    made = checker.draft()
    return (
        made,
        [(one.path, one.message) for one in checker.problems],
        [(one.path, one.message) for one in checker.templates],
    )


def test_a_template_gives_the_texts() -> None:
    made, problems, templates = check(variables={"name": "<Ann>"})
    assert (problems, templates) == ([], [])
    assert (made.subject, made.html, made.text) == ("Hi <Ann>", "<p>Hi &lt;Ann&gt;</p>", "Hi\n<Ann>")
    assert made.source is not None
    assert (made.source.template_id, made.source.version) == ("an-id", 3)


def test_a_subject_of_ones_own_wins_and_is_rendered() -> None:
    made, problems, _ = check(subject="For {{ name }}", variables={"name": "Ann"})
    assert (problems, made.subject) == ([], "For Ann")


def test_html_or_text_beside_a_template_is_refused() -> None:
    _, problems, _ = check(html="<p>x</p>", text="x", variables={"name": "Ann"})
    assert [path for path, _ in problems] == ["$.html", "$.text"]


def test_a_missing_variable_is_told_at_the_variables_with_text_and_line() -> None:
    _, problems, templates = check()
    assert problems == []
    place = "of the template 'welcome', version 3: line"
    assert templates == [
        ("$.variables", f"subject {place} 1: 'name' is missing from variables"),
        ("$.variables", f"html {place} 1: 'name' is missing from variables"),
        ("$.variables", f"text {place} 2: 'name' is missing from variables"),
    ]


def test_a_line_break_in_a_variable_for_the_subject_is_refused() -> None:
    for ending in ("\r\n", "\n", "\r", "\0", "\x85", "\u2028"):
        _, problems, _ = check(variables={"name": f"Ann{ending}Bcc: eve@world.test"})
        assert problems[0][0] == "$.variables"
        assert problems[0][1].startswith("subject of the template 'welcome', version 3: ")


def test_a_template_without_a_subject_needs_one_beside_it() -> None:
    _, problems, _ = check(Version(text="Hello"))
    assert problems == [("$.subject", "is required, for the template has none")]
    assert check(Version(text="Hello"), subject="Hi")[1] == []


def test_an_unknown_template_is_all_that_is_wrong() -> None:
    _, problems, templates = check(None)
    assert (problems, templates) == ([], [("$.template_id", "there is none")])


def test_braces_of_a_template_are_rendered_without_variables_too() -> None:
    made, _, templates = check(Version(subject="s", text="{{ name | default('friend') }}"))
    assert (made.text, templates) == ("friend", [])


def test_styles_are_moved_after_rendering() -> None:
    html = "<style>.a{color:red}</style><table>{% for x in rows %}<tr><td class='a'>{{ x }}</td></tr>{% endfor %}</table>"
    made, problems, templates = check(
        Version(subject="s", html=html, css_inline=True), variables={"rows": ["<1>", "2"]}
    )
    assert (problems, templates) == ([], [])
    assert made.html is not None
    assert made.html.count('style="color: red;"') == 2
    assert "&lt;1&gt;" in made.html


def test_a_template_with_loops_is_checked_in_a_thread() -> None:
    send = fields.Send(template_id="t", variables={})
    loop = Source("i", 1, "t", Version(text="{% for x in y %}{{ x }}{% endfor %}"))
    assert effort.is_large(send, loop)
    assert not effort.is_large(send, Source("i", 1, "t", TEXTS))


def test_a_template_whose_styles_are_moved_is_checked_in_a_thread() -> None:
    plain = Version(html="<style>p{color:red}</style><p>x")
    assert not effort.is_large(fields.Send(template_id="t"), Source("i", 1, "t", plain))
    moved = Version(html=plain.html, css_inline=True)
    assert effort.is_large(fields.Send(template_id="t"), Source("i", 1, "t", moved))
