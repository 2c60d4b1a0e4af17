"""Styles moved into tags: nothing fetched, and nothing that could hurt the process is given to the inliner."""

import re
import time

import pytest

from services.gateway.templates import css, css_cost
from services.gateway.templates.budget import TemplateError, Work

RED = "<style>p{color:red}</style>"


def test_styles_go_into_the_tags_and_media_queries_stay() -> None:
    document = "<style>p{color:red} @media (max-width:9px){p{color:blue}}</style><p>{{ x }} &amp; y</p>"
    inlined = css.inlined(document, Work())
    assert '<p style="color: red;">{{ x }} &amp; y</p>' in inlined
    assert "@media (max-width:9px){p{color:blue}}" in inlined


def test_a_document_without_styles_stays_as_it_is() -> None:
    assert css.inlined("<p style='a:b'>x", Work()) == "<p style='a:b'>x"


def test_nothing_is_fetched_and_no_file_read() -> None:
    links = (
        "<link rel=stylesheet href='/etc/hostname'><link rel=stylesheet href='file:///etc/hostname'>"
        "<link rel=stylesheet href='http://127.0.0.1:1/x.css'><style>@import '/etc/hostname';</style>"
    )
    began = time.monotonic()
    inlined = css.inlined(links + RED + "<p>x</p>", Work())
    assert '<p style="color: red;">x</p>' in inlined
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "document",
    [
        RED + "<div>" * 20_000,
        RED + "<p>" + "".join(f"<b id={n}>" for n in range(1000)) + "</p><p>x" * 1900,
        "<style>" + "p{color:red}" * 20_000 + "</style><p>x",
        "<style>" + "*{color:red}" * 5000 + "</style>" + "<p>x" * 2900,
        "<style>" + "p:not(.x ~ p ~ p){color:red}" * 100 + "</style>" + "<p>x" * 2900,
        "<STYLE/x='>'>" + "p:NOT(.x \\7e p){color:red}" * 100 + "</style>" + "<p>x" * 2900,
        "<style " * 140_000,
        f"<style>{''.join(f'p{{a{n}:x}}' for n in range(450))}</style>" + "<p>x" * 2500,
        f"<style>p{{{''.join(f'a{n}:x;' for n in range(2000))}}}</style>" + "<p>x" * 2500,
        f"<style>q{{a:url(/*)}} {''.join(f'p{{a{n}:x}}' for n in range(450))} q{{a:url(*/)}}</style>"
        + "<p>x" * 2500,
        f"<style>p{{{''.join(f'a{n}:x;' for n in range(450))}&.b{{c:d}}}}</style>" + "<p>x" * 2500,
        RED + f"<p><b title='{'x' * 9000}'></p>" * 60 + "<p>x</p>" * 2500,
    ],
    ids=[
        "deep",
        "formatting",
        "long",
        "many",
        "searching",
        "spelled otherwise",
        "no style at all",
        "rules",
        "declarations",
        "in comments",
        "nested",
        "repeated",
    ],
)
def test_what_would_take_long_or_crash_is_refused_at_once(document: str) -> None:
    began = time.process_time()
    with pytest.raises(TemplateError):
        css.inlined(document, Work())
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "document",
    [
        RED + "<div>" * 2900,
        "<style>" + ".x + p + p + p{color:red}" * 15 + "</style>" + "<p>x" * 2800 + "<p class=x>",
        "<style>p:not(.x ~ p ~ p ~ p){color:red}</style>" + "<p>x" * 2800 + "<p class=x>",
    ],
)
def test_what_is_taken_is_done_in_less_than_the_limit(document: str) -> None:
    began = time.process_time()
    css.inlined(document, Work())
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("sheet", "body"),
    [
        ("p{a:b;c:d}", "<p>1<p>2"),
        (".a,.b>p:hover,[class=a]{y:z} td.x #i{q:r}", "<p class='a c'>1<p id=i>2"),
        ("/*;*/ p::before{a:b} p{b:url('x;y')} @layer x{p{c:d}}", "<p>1"),
        ("b{c:d;e:f}", "<p><b></p><p>1</p><p>2</p><p>3</p>"),
        ("p{x:y;&.a{q:r}} *{a:b} :is(p,b){d:e}", "<p class=a>1<b>"),
    ],
)
def test_no_more_is_copied_than_was_counted(sheet: str, body: str) -> None:
    document = css._parser.inline(f"<style>{sheet}</style>{body}")
    made = css.inlined(document, Work())
    styles = sum(map(len, re.findall(r'style="([^"]*)"', made)))
    assert 0 < styles <= css_cost.copied([f">{sheet}"], css_cost.tags_in(document))


def test_a_usual_sheet_counts_for_the_tags_it_is_for() -> None:
    tags = css_cost.tags_in(css._parser.inline("<p class=a>1</p>" + "<td>2</td>" * 100 + "<td>3" * 100))
    assert css_cost.copied([">.a{color:red} h1,p#x{margin:0} /* all of them */"], tags) < 20


def test_inlining_is_taken_off_what_an_email_and_its_batch_may_cost() -> None:
    batch = Work(characters=50_000)
    document = f"<style>p{{{'color:red;' * 10}}}</style>" + "<p>x" * 100
    css.inlined(document, Work(within=batch))
    with pytest.raises(TemplateError, match="batch"):
        css.inlined(document, Work(within=batch))
