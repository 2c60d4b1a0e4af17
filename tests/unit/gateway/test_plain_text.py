import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.gateway import plain_text

_PIECES = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<a href='https://x.test/?a=1&amp;b'>",
        "</a>",
        "<ul>",
        "<ol>",
        "<li>",
        "</ul>",
        "<td>",
        "<tr>",
        "<br/>",
        "<pre>",
        "</pre>",
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "<![CDATA[",
        "<!",
        "<?",
        "</",
        "<",
        ">",
        "'",
        '"',
        "&",
        "&amp;",
        "&#",
        "&#x;",
        "&#99999999999;",
        "&#55555;",
        "<head>",
        "<div style='display:none'>",
        "</div>",
        "<blockquote>",
        "</blockquote>",
        "<img alt='x'>",
        "<hr>",
        "\n",
        "\xa0",
        "\0",
        "text",
        "İ",
        "\ud800",
    ]
)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("Hello<br>you<br/><br />there", "Hello\nyou\n\nthere"),
        ("<h1>Title</h1>Body &amp; soul &lt;3 &euro;&nbsp;5", "Title\n=====\n\nBody & soul <3 € 5"),
        ("a\n  b\t c", "a b c"),
        ("<b>bo</b>ld <i> and </i> so", "bold and so"),
        ('<a href="https://x.test/?a=1&amp;b=2">go</a>', "go [1]\n\n[1] https://x.test/?a=1&b=2"),
        ('<a href="https://www.x.test/">x.test</a>', "x.test"),
        ("<a href='mailto:a@b.test?subject=x'>a@b.test</a>", "a@b.test"),
        ("<a href=tel:+4930>call</a>", "call [1]\n\n[1] tel:+4930"),
        ("<a href='#top'>up</a> <a href='javascript:x()'>run</a>", "up run"),
        ("<a href='https://x.test'><img src=logo></a>", "https://x.test"),
        ("<a href='https://x.test'><div>Block</div></a>next", "Block [1]\nnext\n\n[1] https://x.test"),
        ("<a href='https://x.test'>never closed", "never closed [1]\n\n[1] https://x.test"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>d", "- a\n  - b\n- c\n\nd"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<ul><li>a<br>more</li></ul>", "- a\n  more"),
        ("<table><tr><th>Item<th>Price<tr><td>Tea<td>3</table>", "Item | Price\nTea | 3"),
        ("<table><tr><td></td><td>only</td><td></td></tr></table>", "only"),
        ("<blockquote>q<blockquote>deep</blockquote></blockquote>me", "> q\n>\n> > deep\n\nme"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("a<hr>b", f"a\n\n{'-' * 40}\n\nb"),
        ("<img alt='Our logo' src=x>", "Our logo"),
        ("<html><head><title>T</title><style>p{}</style></head><body>x</body></html>", "x"),
        ("<SCRIPT>if (a < b) alert('</p>')</SCRIPT>x<style>y", "x"),
        ("<head>no end<p>x", "no end\n\nx"),
        ("a<!-- b --><!DOCTYPE html><?xml?><![CDATA[c]]>d", "ad"),
        ("a<!-- never closed", "a"),
        ("1 < 2 && 3 > 2", "1 < 2 && 3 > 2"),
        ("<p title='a > b'>x</p>", "x"),
        ("<p title='never closed>x</p><p>y", "x\n\ny"),
        ("x<a href='never ends", "x"),
        ("<div style='DISPLAY: none'>hidden<div>too</div></div>shown", "shown"),
        ("<div style='display:none'>all there is", "all there is"),
        ("<p><script>x</script></p>", ""),
        ("", ""),
        ("just text", "just text"),
    ],
)
def test_html_reads_as_text(document: str, text: str) -> None:
    assert plain_text.from_html(document) == text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300) | st.lists(_PIECES, max_size=60).map("".join))
@example("&#" + "9" * 5000 + ";")
@example("<" * 100)
def test_it_never_raises_and_stays_bounded(document: str) -> None:
    text = plain_text.from_html(document)
    assert text == text.strip("\n")
    assert len(text) <= 20 * len(document) + 200


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a ",
        "<a b='",
        "<a b=\"'>",
        "<!--",
        "</",
        "<![CDATA[",
        "&#1",
        "<div>",
        "<ul><li>x",
        "<blockquote>x",
        "<head>",
        "&nbsp;<td>",
        "<pre>\n",
        "<a href=http://x>",
        "<p style='display:none'>",
        "<script>",
        "<script></script>",
        "<a a=",
    ],
)
def test_a_megabyte_of_anything_is_read_in_seconds(piece: str) -> None:
    document = piece * (1_000_000 // len(piece))
    began = time.monotonic()
    text = plain_text.from_html(document)
    # Quadratic work would take many minutes here.
    assert time.monotonic() - began < 20
    assert len(text) < 20 * len(document)


def test_nesting_deeper_than_anyone_reads_does_not_indent_for_ever() -> None:
    lines = plain_text.from_html("<ul><li>x" * 50_000).split("\n")
    assert len(lines) == 50_000
    assert max(map(len, lines)) < 40
