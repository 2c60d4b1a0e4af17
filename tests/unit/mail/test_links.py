"""Links of HTML: found as a browser finds them, and nothing but their values is ever written."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail import links
from shared.mail.urls import requested
from tests.unit.mail.newsletters import HOSTILE, NEWSLETTERS

PIXEL = '<img src="http://t.test/t/o/x.gif">'
VALUE = "https://t.test/t/c/token-_"


def urls(html: str) -> list[str]:
    return [link.url for link in links.found(html).links]


def rewritten(html: str, value: str | None, tail: str = "") -> str:
    """Return the document with every link's value replaced by this one."""
    found = links.found(html)
    return links.rewritten(html, found, [value] * len(found.links), tail)


class Reader(HTMLParser):
    """What the standard library makes of a document; conditional comments are documents of their own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.seen: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(("/", tag))

    def handle_data(self, data: str) -> None:
        if self.seen and isinstance(self.seen[-1], str):
            data = str(self.seen.pop()) + data
        self.seen.append(data)

    def handle_comment(self, data: str) -> None:
        self.seen.append(("!--", read(data) if data.startswith("[if") else data))

    def handle_decl(self, decl: str) -> None:
        self.seen.append(("!", decl))

    def handle_entityref(self, name: str) -> None:
        self.seen.append(("&", name))

    def handle_charref(self, name: str) -> None:
        self.seen.append(("&#", name))


def read(html: str) -> list[object]:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader.seen


def without_targets(seen: list[object]) -> list[object]:
    """Return what was read with the href of every a and area blanked."""
    plain: list[object] = []
    for item in seen:
        if isinstance(item, tuple) and item[0] in ("a", "area") and isinstance(item[1], list):
            plain.append((item[0], [(name, "" if name == "href" else value) for name, value in item[1]]))
        elif isinstance(item, tuple) and item[0] == "!--" and isinstance(item[1], list):
            plain.append(("!--", without_targets(item[1])))
        else:
            plain.append(item)
    return plain


def assert_only_values_differ(html: str) -> None:
    """See that what stands between the values is there still, character by character."""
    found = links.found(html).links
    after = rewritten(html, VALUE, PIXEL)
    at = 0
    place = after.rindex(PIXEL)
    after = after[:place] + after[place + len(PIXEL) :]
    for before, link in zip([0, *[one.end for one in found]], found, strict=False):
        between = html[before : link.start]
        assert after[at : at + len(between)] == between
        at += len(between)
        assert after[at : at + len(VALUE)] == VALUE
        at += len(VALUE)
    assert after[at:] == html[found[-1].end if found else 0 :]
    assert rewritten(html, None) == html


@pytest.mark.parametrize("html", NEWSLETTERS)
def test_only_targets_differ_for_a_parser_of_real_newsletters(html: str) -> None:
    assert urls(html)
    after = rewritten(html, VALUE)
    assert without_targets(read(after)) == without_targets(read(html))
    assert after != html
    assert_only_values_differ(html)


_WORDS = ["a", "area", "A", "AREA", "p", "img", "abbr", "script", "style", "body", "title", "textarea", "b"]
_NAMES = ["href", "HREF", "data-no-track", "title", "alt", "class", "data-href", "xhref", "x"]
_VALUES = [
    "https://x.test/?a=1&amp;b=2", "HTTP://X.test", "mailto:a@x.test", "#top", "cid:1", "tel:+1", "a > b",
    "<a href=https://no.test>", "", "https://x.test:80/a?b=(c)&amp;d={e}", "https://x.test?&amp;&copy;", " https://x.test/a b ", "https://x.test/?q=&quot;", "https://ü.test",
]  # fmt: skip


def _attribute(name: str, value: str, quote: str) -> str:
    if not quote:
        value = value.replace(" ", "").replace(">", "").replace("<", "") or "v"
    return f"{name}={quote}{value}{quote}"


_ATTRIBUTES = st.lists(
    st.one_of(
        st.builds(
            _attribute, st.sampled_from(_NAMES), st.sampled_from(_VALUES), st.sampled_from(['"', "'", ""])
        ),
        st.sampled_from(_NAMES),
    ),
    max_size=4,
)
_TAG = st.builds(
    lambda name, given: " ".join(["<" + name, *given]) + ">", st.sampled_from(_WORDS), _ATTRIBUTES
)
_PIECES = st.one_of(
    _TAG,
    st.sampled_from(_WORDS).map(lambda name: f"</{name}>"),
    st.sampled_from(
        ["<!-- <a href=https://no.test> -->", "<!--[if mso]>", "<![endif]-->", "<!--[if !mso]><!-->"]
    ),
    st.sampled_from(["<!doctype html>", "<br/>", "text & <more", "&amp;", "\n", "<", "</", "<!", "é"]),
)
_DOCUMENTS = st.lists(_PIECES, max_size=12).map("".join)


@given(_DOCUMENTS)
def test_every_character_but_the_values_stays(html: str) -> None:
    assert_only_values_differ(html)


@given(st.text(max_size=300))
def test_text_that_is_no_document_stays_too(html: str) -> None:
    assert_only_values_differ(html)


@given(_DOCUMENTS)
def test_a_link_leads_where_a_browser_would_go(html: str) -> None:
    for link in links.found(html).links:
        assert link.target == requested(link.url)


@given(st.lists(_TAG, max_size=6).map("".join))
def test_a_parser_sees_no_difference_but_in_targets(html: str) -> None:
    after = rewritten(html, VALUE)
    assert without_targets(read(after)) == without_targets(read(html))


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="https://x.test/?a=1&amp;b=2">', ["https://x.test/?a=1&b=2"]),
        ("<A HREF='https://x.test/'>", ["https://x.test/"]),
        ("<a href=https://x.test/a/>", ["https://x.test/a/"]),
        ("<area shape=rect href=https://x.test>", ["https://x.test"]),
        ("<a/href=https://x.test>", ["https://x.test"]),
        ("<a\nclass='b'\n href = \"https://x.test\">", ["https://x.test"]),
        ('<a title="a > b" href="https://x.test">', ["https://x.test"]),
        ('<a href="https://x.test" href="https://y.test">', ["https://x.test"]),
        ('<a href href="https://y.test">', []),
        ('<a data-href="https://y.test">', []),
        ('<a href="https://x.test" data-no-track>', []),
        ('<a DATA-NO-TRACK="" href="https://x.test">', []),
        ('<a href="https://x.test/?data-no-track">', ["https://x.test/?data-no-track"]),
        ('<a href="  https://x.test/\n  ">', ["https://x.test/"]),
        ('<a href="https://x.test/a\n  b">', ["https://x.test/a  b"]),
        (
            '<a href="mailto:a@x.test"><a href="tel:1"><a href="#x"><a href="cid:1"><a href="/x"><a href="">',
            [],
        ),
        ('<link href="https://x.test"><base href="https://x.test"><abbr href="https://x.test">', []),
        ("<img alt=\"<a href='https://x.test'>\">", []),
        ("<p class=it's><a href=https://x.test>it's</a>", ["https://x.test"]),
        ("<script>'<a href=https://x.test>'</script>", []),
        ("<scripty><a href=https://x.test>", ["https://x.test"]),
        ("<style><a href=https://x.test></STYLE ><a href=https://y.test>", ["https://y.test"]),
        ("<!-- <a href=https://x.test> --><a href=https://y.test>", ["https://y.test"]),
        ("<!--[if mso]><a href=https://x.test><![endif]-->", ["https://x.test"]),
        ("<!--[if !mso]><!--><a href=https://x.test><!--<![endif]-->", ["https://x.test"]),
        ("<!--><a href=https://x.test>", ["https://x.test"]),
        ("<a href=https://x.test", []),
        ('<a href="https://x.test>', []),
        ("1 < 2 <a href=https://x.test>", ["https://x.test"]),
        ("<a href='https://x.test/?a=&lt;&quot;&#38;&#x26;'>", ['https://x.test/?a=<"&&']),
        ("<a href='https://x.test/?a=1&copy=2&copy;&not&notit;'>", ["https://x.test/?a=1&copy=2©¬&notit;"]),
        ("<a href='&#104;ttps://x.test'>", ["https://x.test"]),
        ("<a href=https&colon;//x.test>", ["https://x.test"]),
        ('<a href="&#32;https://x.test/a&#10;b&Tab;">', ["https://x.test/ab"]),
        ('<a title="data-no-track" href="https://x.test" class="b">', ["https://x.test"]),
        ('<a href="https://x.test" class="b" Data-No-Track="1">', []),
        ('<a href="https://x.test" data-no-track="">', []),
        (
            '<a data-no-track href="https://x.test"><a data-no-tracking="1" href="https://y.test">',
            ["https://y.test"],
        ),
        (
            '<td a="<a href=https://no.test>" b="\'"><br /><a id="1" href="https://x.test"/>',
            ["https://x.test"],
        ),
        ("<a href='https://bücher.test/ü?q=ü'>", ["https://bücher.test/ü?q=ü"]),
        ("<style></ſtyle><a href=https://x.test></style><a href=https://y.test>", ["https://y.test"]),
        ("<a data-no-trac\u212a href=https://x.test>", ["https://x.test"]),
        ("<title><a href=https://x.test></title>", []),
        ("<textarea><a href=https://x.test></textarea>", []),
        ("<xmp><a href=https://x.test></xmp>", []),
        ("<a href='https://x.test/a\rb'>", ["https://x.test/ab"]),
        ("<a href='https://x.test/a\tb'>", ["https://x.test/ab"]),
        ("<a href='https://x.test/?a=&amp;&lt;&amp;'>", ["https://x.test/?a=&<&"]),
        ('<a href="https://x.test/?a=&amp;&lt;&copy=1">', ["https://x.test/?a=&<&copy=1"]),
    ],
)
def test_links_are_those_a_browser_finds(html: str, expected: list[str]) -> None:
    assert urls(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<body>x</body></html>", "<body>x|</body></html>"),
        ("<BODY>x</BODY >", "<BODY>x|</BODY >"),
        ("x", "x|"),
        ("<body>a</body><body>b</body>", "<body>a</body><body>b|</body>"),
        ("<body>a</body><!-- </body> -->", "<body>a|</body><!-- </body> -->"),
        ("<body>a</body><!--[if mso]></body><![endif]-->", "<body>a|</body><!--[if mso]></body><![endif]-->"),
        ("a</body><script>'</body>'</script>", "a|</body><script>'</body>'</script>"),
        ("a</body><a href=https://x.test>", "a|</body><a href=https://x.test>"),
        ("<img alt='</body>'>", "<img alt='</body>'>|"),
    ],
)
def test_the_pixel_stands_before_the_last_end_of_the_body(html: str, expected: str) -> None:
    assert rewritten(html, None, "|") == expected


def test_a_value_that_needs_quotes_gets_them() -> None:
    assert rewritten("<a href=https://x.test>", "https://t/?a&amp;b") == '<a href="https://t/?a&amp;b">'


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_megabyte_takes_no_second(piece: str) -> None:
    html = piece * (1_000_000 // len(piece))
    began = time.process_time()
    rewritten(html, "https://t.test/")
    assert time.process_time() - began < 1.5
