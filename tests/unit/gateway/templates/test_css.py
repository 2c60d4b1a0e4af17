"""Styles moved into tags: nothing fetched, and nothing that could hurt the process is given to the inliner."""

import time

import pytest

from services.gateway.templates import css
from services.gateway.templates.budget import TemplateError

RED = "<style>p{color:red}</style>"


def test_styles_go_into_the_tags_and_media_queries_stay() -> None:
    document = "<style>p{color:red} @media (max-width:9px){p{color:blue}}</style><p>{{ x }} &amp; y</p>"
    inlined = css.inlined(document)
    assert '<p style="color: red;">{{ x }} &amp; y</p>' in inlined
    assert "@media (max-width:9px){p{color:blue}}" in inlined


def test_a_document_without_styles_stays_as_it_is() -> None:
    assert css.inlined("<p style='a:b'>x") == "<p style='a:b'>x"


def test_nothing_is_fetched_and_no_file_read() -> None:
    links = (
        "<link rel=stylesheet href='/etc/hostname'><link rel=stylesheet href='file:///etc/hostname'>"
        "<link rel=stylesheet href='http://127.0.0.1:1/x.css'><style>@import '/etc/hostname';</style>"
    )
    began = time.monotonic()
    inlined = css.inlined(links + RED + "<p>x</p>")
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
    ],
    ids=["deep", "formatting", "long", "many", "searching", "spelled otherwise", "no style at all"],
)
def test_what_would_take_long_or_crash_is_refused_at_once(document: str) -> None:
    began = time.process_time()
    with pytest.raises(TemplateError):
        css.inlined(document)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "document",
    [
        RED + "<div>" * 2900,
        "<style>" + ".x + p + p + p{color:red}" * 300 + "</style>" + "<p>x" * 2800 + "<p class=x>",
        "<style>p:not(.x ~ p ~ p ~ p){color:red}</style>" + "<p>x" * 2800 + "<p class=x>",
    ],
)
def test_what_is_taken_is_done_in_less_than_the_limit(document: str) -> None:
    began = time.process_time()
    css.inlined(document)
    assert time.process_time() - began < 3
