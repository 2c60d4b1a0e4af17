import pytest

from services.gateway.emails import links


def test_links_come_in_their_order_and_as_often_as_they_stand_there() -> None:
    html = """<p><a href="https://one.test/?a=1&amp;b=2">1</a> <A HREF='http://two.test'>2</A>
    <map><area href=https://three.test></map><a href="https://one.test/?a=1&amp;b=2">again</a>"""
    one = "https://one.test/?a=1&b=2"
    assert links.tracked(html) == [one, "http://two.test", "https://three.test", one]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:ann@world.test">m</a>',
        '<a href="tel:+123">t</a>',
        '<a href="#top">t</a>',
        '<a href="cid:logo">c</a>',
        '<a href="/relative">r</a>',
        '<a href="https://">h</a>',
        '<a href="javascript:alert(1)">j</a>',
        '<a href="https://x.test" data-no-track>n</a>',
        '<a data-no-track="" href="https://x.test">n</a>',
        '<a href="https://x.test"DATA-NO-TRACK=1>n</a>',
        '<link href="https://x.test"><img src="https://x.test">',
        '<!-- <a href="https://x.test">c</a> -->',
        '<style>a[href="https://x.test"] {}</style>',
        "<script>'<a href=\"https://x.test\">'</script>",
        "<a>no target</a>",
        "https://in.the.text",
    ],
)
def test_what_no_click_is_followed_through_is_no_link(html: str) -> None:
    assert links.tracked(html) == []


@pytest.mark.parametrize(
    "html",
    [
        '<a title="data-no-track" href="https://x.test">n</a>',
        '<a data-no-track-me href="https://x.test">n</a>',
        '<a title="a data-no-track b" href="https://x.test">n</a>',
    ],
)
def test_a_link_that_only_mentions_the_word_is_one(html: str) -> None:
    assert links.tracked(html) == ["https://x.test"]
