"""What is new in a reply, by the formats of mail clients."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracker import mime, quoting
from services.tracker.signals import reply

QUOTE = "> Your order 4711\n> has been sent.\n"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        (f"Where is it?\n\nOn Tue, Mar 3, 2026 at 9:00 AM Shop <orders@shop.example> wrote:\n\n{QUOTE}", "Where is it?"),
        (f"Where?\n\nOn Tue, Mar 3, 2026 at 9:00 AM Shop Orders Department\n<orders@shop.example> wrote:\n\n{QUOTE}", "Where?"),
        (f"Wo?\n\nAm Di., 3. März 2026 um 09:00 Uhr schrieb Shop <orders@shop.example>:\n\n{QUOTE}", "Wo?"),
        (f"Où ?\n\nLe mar. 3 mars 2026 à 09:00, Shop <orders@shop.example> a écrit :\n\n{QUOTE}", "Où ?"),
        (f"Dónde?\n\nEl mar, 3 mar 2026 a las 9:00, Shop (<orders@shop.example>) escribió:\n\n{QUOTE}", "Dónde?"),
        (f"Dove?\n\nIl giorno mar 3 mar 2026 alle ore 09:00 Shop <orders@shop.example> ha scritto:\n\n{QUOTE}", "Dove?"),
        (f"Onde?\n\nEm ter., 3 de mar. de 2026 às 09:00, Shop <orders@shop.example> escreveu:\n\n{QUOTE}", "Onde?"),
        (f"Waar?\n\nOp di 3 mrt 2026 om 09:00 schreef Shop <orders@shop.example>:\n\n{QUOTE}", "Waar?"),
        (f"Gdzie?\n\nwt., 3 mar 2026 o 09:00 Shop <orders@shop.example> napisał(a):\n\n{QUOTE}", "Gdzie?"),
        (f"Где?\n\nвт, 3 мар. 2026 г. в 09:00, Shop <orders@shop.example>:\n\n{QUOTE}", "Где?"),
        (f"どこ?\n\n2026年3月3日(火) 9:00 Shop <orders@shop.example>:\n\n{QUOTE}", "どこ?"),
        (f"在哪?\n\nShop <orders@shop.example> 于2026年3月3日周二 09:00写道：\n\n{QUOTE}", "在哪?"),
        ("Cancel it.\n\n-----Original Message-----\nFrom: Shop <o@shop.example>\nSent: Tuesday\nSubject: x\n\nOld", "Cancel it."),
        ("Cancel it.\n\nFrom: Shop <o@shop.example>\nSent: Tuesday, March 3, 2026\nTo: me\nSubject: x\n\nOld", "Cancel it."),
        ("Storno.\n\nVon: Shop <o@shop.example>\nGesendet: Dienstag\nAn: ich\nBetreff: x\n\nAlt", "Storno."),
        ("Annulez.\n\nDe : Shop <o@shop.example>\nEnvoyé : mardi\nÀ : moi\nObjet : x\n\nVieux", "Annulez."),
        ("Cancel.\n\n________________________________\nFrom: Shop\nSent: Tuesday\n\nOld", "Cancel."),
        ("Yes please\n\nSent from my iPhone\n\n> On 3 Mar 2026, at 09:00, Shop <o@shop.example> wrote:\n> \n> Old", "Yes please"),
        ("Ja\n\nVon meinem iPhone gesendet\n", "Ja"),
        ("Oui\n\nEnvoyé de mon iPhone\n", "Oui"),
        ("Ok\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n________________________________\nFrom: x", "Ok"),
        ("Thanks!\n-- \nKim\nACME Ltd", "Thanks!"),
        (f"On 03.03.2026 09:00, Shop wrote:\n{QUOTE}\nI never got it.\n", "I never got it."),
        (f"{QUOTE}\nBelow the quote.\n", "Below the quote."),
        ("> Is it red?\nYes.\n> Is it big?\nNo.\n", "Yes. No."),
        ("Hi,\nOn 03.03.2026 09:00, Shop wrote:\n> Is it red?\nYes.\n", "Hi, Yes."),
        ("The address is:\nMain Street 4\n", "The address is: Main Street 4"),
        ("From: now on, please write to my new address.\nThanks", "From: now on, please write to my new address. Thanks"),
        ("", ""),
        (QUOTE, ""),
    ],
)  # fmt: skip
def test_a_snippet_is_what_the_person_wrote(text: str, own: str) -> None:
    assert quoting.snippet(text) == own
    assert quoting.snippet(text.replace("\n", "\r\n")) == own


@pytest.mark.parametrize(
    "html",
    [
        '<div dir="ltr">Where is it?</div><br><div class="gmail_quote"><div dir="ltr">On Tue wrote:<br></div>'
        '<blockquote class="gmail_quote">Old</blockquote></div>',
        '<html><body><div>Where is it?</div><div id="appendonsend"></div><hr tabindex="-1"><div id="divRplyFwdMsg">'
        "<b>From:</b> Shop<br></div>Old</body></html>",
        '<p>Where is it?</p><div class="moz-cite-prefix">Am 03.03.2026 um 09:00 schrieb Shop:<br></div>'
        '<blockquote type="cite">Old</blockquote>',
        "<style>p {color: red}</style><p>Where is it?</p><blockquote>Old</blockquote>",
    ],
)
def test_an_html_reply_alone_is_read_up_to_its_quote(html: str) -> None:
    raw = f"From: kim@m.example\nContent-Type: text/html; charset=utf-8\n\n{html}".encode()
    assert quoting.snippet(reply.recognise(mime.read(raw)).text) == "Where is it?"


def test_a_plain_part_comes_before_html_and_attachments_are_left_out() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/plain\n"
        b"Content-Disposition: attachment; filename=a.txt\n\nfile\n--o\nContent-Type: multipart/alternative; boundary=i\n\n"
        b"--i\nContent-Type: text/plain\n\nHello\n--i\nContent-Type: text/html\n\n<p>Hi</p>\n--i--\n--o--\n"
    )
    assert quoting.snippet(reply.recognise(mime.read(raw)).text) == "Hello"


@given(st.text(max_size=3000))
def test_a_snippet_is_short_and_one_line_whatever_the_text(text: str) -> None:
    found = quoting.snippet(text)
    assert len(found) <= quoting.MAX_SNIPPET
    assert "\n" not in found


@pytest.mark.parametrize(
    "text",
    [
        "On " * 400_000, "@" * 1_000_000, "a@b.c " * 200_000, "2026-01-01 10:00 a@b.example>" * 30_000,
        ("on 1:00 " + "x@y.z " * 150 + "\n") * 2000, ("From: x\n" * 100_000), ("1:11 " * 190 + "\n") * 2000, " " * 1_000_000,
    ],
    ids=range(8),
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    begun = time.process_time()
    quoting.snippet(text)
    assert time.process_time() - begun < 2
