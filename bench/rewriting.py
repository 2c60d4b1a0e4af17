"""The row of tracked HTML: forty links of a newsletter found, signed and written, beside the stdlib's reading of it."""

import time
from collections.abc import Callable
from html.parser import HTMLParser

from bench.figures import Row
from shared.events.email import Tracker, Tracking
from shared.runtime import instrumenting
from tests.controls import emails

LINKS = 40
SIZE = 40 * 1024
_OFFER = """\
<tr><td align="center" valign="top" style="padding:12px 24px;font-family:Helvetica,Arial,sans-serif;font-size:15px">
<img src="https://cdn.shop.test/{number}.png?w=600&amp;h=200" width="600" alt="Product {number}" border="0" style="display:block">
<h3 style="margin:0 0 8px;color:#222222">Product {number} &mdash; as you like it</h3>
<p style="margin:0 0 12px;line-height:22px;color:#555555">A line about the product that says what it is for, how large
it is, and what it costs today &amp; tomorrow. A second sentence, for nobody reads only one, and then a third.</p>
<a href="https://shop.test/products/{number}?utm_source=newsletter&amp;utm_medium=email&amp;utm_campaign=spring"
 target="_blank" style="display:inline-block;padding:10px 20px;background:#1a82e2;color:#ffffff" class="button">See it</a>
<p style="font-size:12px;color:#888888">Only while there are some left. Prices are in euros and with taxes.</p>
</td></tr>
"""
_HEAD = (
    "<!DOCTYPE html><html><head><title>Spring</title><style>td { color: #222 }</style></head>"
    '<body style="margin:0"><table role="presentation" width="100%">\n'
)
_END = "</p></table></body></html>\n"


def newsletter() -> str:
    """Return a document of 40 KB as senders write them: tables, styles in every tag, a link each kilobyte."""
    offers = _HEAD + "".join(_OFFER.format(number=number) for number in range(LINKS)) + "<p>"
    print_ = "Some words of the small print, as it is. " * 100
    return offers + print_[: SIZE - len(offers) - len(_END)] + _END


async def rewriting(scale: int) -> list[Row]:
    """CPU of what tracking adds to the composing of one email."""
    html, origin = newsletter(), emails.an_origin()
    tracker = Tracker(url="https://t.shop.test", key_id="k1")
    email = emails.an_email("ann@world.test", tracker=tracker, tracking=Tracking(opens=True, clicks=True))
    tracked = instrumenting.instrumented(html, email, origin)
    assert tracked.count("/t/c/") == LINKS
    ours, theirs = float("inf"), float("inf")
    for _ in range(100 // scale):  # in turns: both meet the same machine, and its quietest moments count
        ours = min(ours, _us(lambda: instrumenting.instrumented(html, email, origin), 20))
        theirs = min(theirs, _us(lambda: _read(html), 2))
    return [
        Row(
            name=f"rewriting {LINKS} links of {len(html) / 1024:.0f} KB of HTML, signed, and a pixel",
            figure=f"{ours:,.0f} us = 1/{theirs / ours:.0f}",
            control=f"html.parser reads it in {theirs:,.0f} us",
            bar="<= 300 us",
            met=ours <= 300,
            values={"us": ours, "control_us": theirs},
        )
    ]


def _read(html: str) -> None:
    parser = HTMLParser()
    parser.feed(html)
    parser.close()


def _us(call: Callable[[], object], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - began) / count * 1e6
