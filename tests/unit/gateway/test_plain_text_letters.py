"""Letters as they are really sent, read by somebody whose client shows no HTML."""

import pytest

from services.gateway import plain_text

ORDER = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Order</title>
<style>@media (max-width:600px){.w{width:100%}} td{font:14px Arial}</style></head>
<body style="margin:0;background:#f4f4f4">
<div style="display:none;font-size:1px;color:#f4f4f4;max-height:0;overflow:hidden">Your tea is on its way&#847;&zwnj;&nbsp;&#847;&zwnj;&nbsp;</div>
<table role="presentation" width="100%" cellpadding="0"><tr><td align="center">
<table role="presentation" class="w" width="600"><tbody>
<tr><td style="direction:ltr;font-size:0px;padding:20px 0"><a href="https://tea.test/"><img src="https://cdn.test/logo.png" alt="Tea &amp; Co" width="120"></a></td></tr>
<tr><td><h1 style="font-size:24px">Thank you, Ann!</h1>
<p>We sent your order <strong>#1042</strong> today. You can
<a href="https://tea.test/track?o=1042&amp;u=7">follow it</a> on its way.</p></td></tr>
<tr><td><h2>Your order</h2>
<table width="100%"><thead><tr><th align="left">Item</th><th>Qty</th><th align="right">Price</th></tr></thead>
<tbody><tr><td>Earl&nbsp;Grey</td><td>2</td><td>&euro;9.80</td></tr>
<tr><td>Sencha</td><td>1</td><td>&euro;12.50</td></tr>
<tr><td></td><td>Total</td><td>&euro;32.10</td></tr></tbody></table></td></tr>
<tr><td><ul><li>Arrives <b>Thursday</b></li><li>Free returns:<ol><li>print the label</li><li>hand it in</li></ol></li></ul></td></tr>
<tr><td align="center"><a href="https://tea.test/track?o=1042&amp;u=7" style="background:#060;color:#fff;padding:12px">Track your parcel</a></td></tr>
<tr><td style="font-size:11px"><hr>Questions? <a href="mailto:help@tea.test">help@tea.test</a><br>
Tea &amp; Co, 1 Leaf Street &middot; <a href="https://tea.test/unsubscribe?t=abc">Unsubscribe</a></td></tr>
</tbody></table></td></tr></table>
<img src="https://tea.test/pixel.gif" width="1" height="1" alt=""></body></html>"""

ORDER_TEXT = """Tea & Co [1]

Thank you, Ann!
===============

We sent your order #1042 today. You can follow it [2] on its way.

Your order
----------

Item | Qty | Price
Earl Grey | 2 | €9.80
Sencha | 1 | €12.50
Total | €32.10

- Arrives Thursday
- Free returns:
  1. print the label
  2. hand it in

Track your parcel [2]

----------------------------------------

Questions? help@tea.test
Tea & Co, 1 Leaf Street · Unsubscribe [3]

[1] https://tea.test/
[2] https://tea.test/track?o=1042&u=7
[3] https://tea.test/unsubscribe?t=abc"""

RESET = """<html xmlns:v="urn:schemas-microsoft-com:vml"><head><!--[if mso]><xml><o:x/></xml><![endif]-->
<style type="text/css">a{color:#06c}</style></head><body>
<span class="preheader" style="visibility: hidden; opacity: 0; height: 0; width: 0">Use this link to reset it.</span>
<!--[if mso]><table><tr><td><![endif]-->
<p>Hi Ann,</p><p>You asked to reset your password. This link is good for <b>one hour</b>:</p>
<p><a href="https://app.test/reset/9f8e7d">https://app.test/reset/9f8e7d</a></p>
<blockquote><p>Did not ask?<br>Then do nothing.</p></blockquote>
<p hidden>for robots</p>
<pre>  curl -X POST \\
    https://app.test/reset</pre>
<!--[if mso]></td></tr></table><![endif]-->
<p>&mdash; The App team</p></body></html>"""

RESET_TEXT = """Hi Ann,

You asked to reset your password. This link is good for one hour:

https://app.test/reset/9f8e7d

> Did not ask?
> Then do nothing.

  curl -X POST \\
    https://app.test/reset

— The App team"""

NEWSLETTER = """<body><center><a href="https://n.test/online">View online</a></center>
<table><tr><td width="50%"><h2>First story</h2><p>Some words.</p><a href="https://n.test/1">Read on &raquo;</a></td>
<td width="50%"><h2>Second story</h2><p>More words.</p><a href="https://n.test/2"><b>Read</b> on</a></td></tr></table>
<script>track("</p>")</script>
<p>Follow us: <a href="https://s.test/x"><img alt="X" src="x.png"></a> <a href="https://s.test/f"><img alt="" src="f.png"></a></p>
<p>You get this as ann@world.test.<br>&copy; 2026 News&shy;letter</p></body>"""

NEWSLETTER_TEXT = """View online [1]

First story
-----------

Some words.

Read on » [2]

Second story
------------

More words.

Read on [3]

Follow us: X [4] https://s.test/f

You get this as ann@world.test.
© 2026 News\u00adletter

[1] https://n.test/online
[2] https://n.test/1
[3] https://n.test/2
[4] https://s.test/x"""


@pytest.mark.parametrize(
    ("document", "text"),
    [(ORDER, ORDER_TEXT), (RESET, RESET_TEXT), (NEWSLETTER, NEWSLETTER_TEXT)],
    ids=["order", "reset", "newsletter"],
)
def test_a_letter_reads_as_a_letter(document: str, text: str) -> None:
    assert plain_text.from_html(document) == text


@pytest.mark.parametrize(
    "style",
    ["display:none", "max-height:0px;overflow:hidden", "color:red;max-height:0", "opacity:0", "mso-hide:all"],
)
def test_a_preheader_is_not_of_the_letter(style: str) -> None:
    assert plain_text.from_html(f'<div style="{style}">pre</div><p>letter</p>') == "letter"


@pytest.mark.parametrize(
    "style", ["font-size:0", "max-height:0.5em", "opacity:0.8", "line-height:0", "max-height:00px9"]
)
def test_what_can_be_read_is_kept(style: str) -> None:
    assert plain_text.from_html(f'<div style="{style}">words</div>') == "words"


def test_letters_keep_the_joiners_of_their_script() -> None:
    assert plain_text.from_html("<p>می‌خواهم 👩‍🚀</p>") == "می‌خواهم 👩‍🚀"
