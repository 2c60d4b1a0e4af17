"""What tracking makes of an email's HTML: which links lead through the tracker, and which are left alone."""

import pytest

from shared.events.email import Email, Tracker, Tracking
from shared.runtime import instrumenting
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


@pytest.mark.parametrize("url", ["https://t.test/t/c/x", "https://shop.test/" + "a" * 2000, "https://a b/"])
def test_links_that_are_ours_too_long_or_lead_nowhere_stay(url: str) -> None:
    html = f'<a href="{url}">x</a>'
    assert instrumenting.instrumented(html, an_email(leave_one_time=False), emails.an_origin()) == html
