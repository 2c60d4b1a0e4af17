"""Documents as senders of newsletters and receipts write them, and such as only an attacker writes."""

NEWSLETTERS = (
    """<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml"><head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8" /><title>Spring <a href="https://no.test"></title>
<style type="text/css">a { color: #1a82e2 } @media only screen and (max-width:480px) { .w > td { width:100% !important } }</style>
<!--[if mso]><xml><o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml><![endif]-->
</head><body style="margin:0;font-family:'Helvetica Neue', Arial">
<div style="display:none">Up to 30 % off &mdash; today only&nbsp;&zwnj;&#847;</div>
<table role="presentation" width="100%"><tr><td align="center">
<!--[if mso]><v:roundrect href="https://shop.test/vml" style="height:40px;v-text-anchor:middle;width:200px"><a href="https://shop.test/outlook?x=1&amp;y=2">Shop</a></v:roundrect><![endif]-->
<!--[if !mso]><!--><a href="https://shop.test/sale?utm_source=mail&amp;utm_campaign=spring%20sale#top" target="_blank"
   style="background:#1a82e2;color:#fff" class="btn">Shop now</a><!--<![endif]-->
<a href='https://shop.test/it&#39;s'><img src="https://cdn.test/a.png?w=600&h=200" alt="a > b, <b>bold</b>" width=600></a>
<map name="m"><area shape="rect" coords="0,0,1,1" href="https://shop.test/area"></map>
</td></tr></table>
<p>Questions? <a href="mailto:help@shop.test?subject=Help">Write</a>, <a href="tel:+15550100">call</a>,
<a href="#top">back to top</a> or <a data-no-track href="https://shop.test/legal">legal</a>. 1 < 2 & 3 > 2</p>
<a href="https://shop.test/unsubscribe?u=1&t=abc">Unsubscribe</a>
</body></html>
""",
    """<html><body bgcolor=#FFFFFF><center><TABLE BORDER=0><TR><TD><FONT FACE="Arial">Dear customer,<BR>
<A HREF=http://old.test/offer.asp?id=1&copy=2 TARGET=_blank>http://old.test/offer.asp</A><P>
<a HREF = "http://old.test/a b.html"  onclick="return confirm('a>b')">spaces</A>
<a href="http://old.test/1" href="http://old.test/2">twice</a>
<a name="here">no target</a><a href="">empty</a><a href>none</a><hr/>
<script language="JavaScript">document.write('<a href="http://old.test/js">x</a>');</script>
</FONT></TD></TR></TABLE></BODY></HTML>
""",
    '<p>Ihre Bestellung &#8470;&nbsp;7 <a href="https://bücher.test/straße?größe=1">ansehen</a> '
    '<img src="data:image/png;base64,' + "iVBORw0KGgo" * 400 + '=="><a href="https://x.test/'
    + "p/" * 900 + '">long</a>',
)  # fmt: skip

HOSTILE = (
    "<!--[if mso]>",
    "<a ", "<a", "<", "<a <a <a =", "<a href=", '<a href="', "<a href='\"", "<!--", "<!--[if ", "<script>",
    "<script", "</script", "<title>", "</body", "</body>", "<a href=https://x.test>", "<a b=", "< a", "<!", "<?",
    "<a\n\n\n", "<p =", "<p a=b ", '<p a="b" ', "<area/", "&", "<a href='https://x.test/&amp", "<a href=https://x&#1;",
    "<a data-no-track ", "<s", "<style>x</style", "<!---->", "<a href=https://x.test data-no-trac>", "a", "=\"'",
    '<a href="https://x.test" b="c"', '<a href="https://x.test"\n\n\n', '<a href="x" b="c" d ', '<a b="c" ',
)  # fmt: skip
