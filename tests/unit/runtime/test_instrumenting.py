"""What tracking makes of an email's HTML: which links lead through the tracker, and which are left alone."""

import re

import pytest

from shared.events.email import Email, Tracker, Tracking
from shared.runtime import instrumenting, tokens
from tests.controls import emails


def an_email(*, leave_one_time: bool) -> Email:
    tracker = Tracker(url="https://t.test", key_id="k1", leave_one_time=leave_one_time)
    return emails.an_email(tracker=tracker, tracking=Tracking(opens=False, clicks=True))


@pytest.mark.parametrize(
    "path",
    [
        "reset", "Verify-me", "CONFIRM", "activation", "?token=1", "magic", "one-time", "onetime", "otp/1", "Passwort",
        "invite", "login", "signin", "Sign-In", "unsubscribe",
    ],
)  # fmt: skip
def test_links_that_work_once_are_left_alone_where_the_account_says_so(path: str) -> None:
    html = f'<a href="https://shop.test/{path}">x</a>'
    assert instrumenting.instrumented(html, an_email(leave_one_time=True), emails.an_origin()) == html
    assert instrumenting.instrumented(html, an_email(leave_one_time=False), emails.an_origin()) != html


@pytest.mark.parametrize(
    "url",
    [
        "https://t.test/t/c/x",
        "https://shop.test/" + "a" * 2000,
        "https://shop.test/" + "花" * 300,
        "https://a b/",
    ],
)
def test_links_that_are_ours_too_long_or_lead_nowhere_stay(url: str) -> None:
    html = f'<a href="{url}">x</a>'
    assert instrumenting.instrumented(html, an_email(leave_one_time=False), emails.an_origin()) == html


def test_each_link_leads_to_its_own_target_though_others_are_left_alone() -> None:
    paths = ["1", "login", "2?a=1&amp;b=2", "a b", "reset", "3"]
    html = "".join(f'<a href="https://shop.test/{path}">x</a>' for path in paths)
    origin = emails.an_origin()
    tracked = instrumenting.instrumented(html, an_email(leave_one_time=True), origin)
    found = [origin.tokens.verify("click", token) for token in re.findall('/t/c/([^"]*)', tracked)]
    assert [pointer.extra for payload in found if payload and (pointer := tokens.pointer(payload))] == [
        b"https://shop.test/1",
        b"https://shop.test/2?a=1&b=2",
        b"https://shop.test/a%20b",
        b"https://shop.test/3",
    ]


def test_only_the_pixel_is_added_where_only_opens_are_asked_for() -> None:
    html = '<body><a href="https://shop.test/1">x</a></body>'
    tracker = Tracker(url="https://t.test/?a&b", key_id="k1")
    email = emails.an_email(tracker=tracker, tracking=Tracking(opens=True, clicks=False))
    tracked = instrumenting.instrumented(html, email, emails.an_origin())
    pixel = re.search('<img src="https://t.test/[?]a&amp;b/t/o/[^"&]+.gif"[^>]*>', tracked)
    assert pixel is not None
    assert tracked.replace(pixel[0], "") == html
