from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.tracker import machine

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("", "no user agent"),
        ("Mozilla/5.0", "bare user agent"),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "proxy",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "proxy"),
        ("Barracuda Sentinel (EE)", "scanner"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "preview"),
        ("facebookexternalhit/1.1", "preview"),
        ("Mozilla/5.0 (Windows NT 6.1) AppleWebKit/534 (KHTML, like Gecko) BingPreview/1.0b", "preview"),
        ("Mozilla/5.0 (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)", "robot"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "robot"),
        ("curl/8.5.0", "robot"),
        ("python-requests/2.32", "robot"),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0", "robot"),
        ("Mail.RU-Image-Proxy", "proxy"),
        ("Camo Asset Proxy 2.3.0", "proxy"),
        ("Trend Micro WTP", "scanner"),
        ("Mozilla/5.0 zgrab/0.x", "scanner"),
        ("Ruby", "robot"),
        ("PHP/8.2", "robot"),
        ("got (https://github.com/sindresorhus/got)", "robot"),
        ("Go 1.1 package http", "robot"),
        ("ELB-HealthChecker/2.0", "robot"),
    ],
)
def test_who_says_so_is_a_machine(agent: str, reason: str) -> None:
    assert machine.by_request(agent) == reason


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.17328; ms-office; MSOffice 16)",
        "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.9.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 [Pinterest/iOS]",
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36 Viber/22.5.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari Technology Preview/17.4",
        "Outlook-iOS/723.4027091.prod.iphone (3.0)",
        "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Avast/126.0",
        "Mozilla/5.0 (Linux; Android 14; HealthMonitor) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Mobile Safari/537.36",
    ],
)
def test_what_people_use_is_a_person(agent: str) -> None:
    assert machine.by_request(agent) is None


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", "preview"])
def test_a_prefetch_is_nobody_looking(purpose: str) -> None:
    assert machine.by_request(CHROME, purpose) == "prefetch"


def test_a_hit_before_or_right_after_sending_is_too_fast_for_a_person() -> None:
    assert machine.by_time(NOON, None, True) == "before it was sent"
    assert machine.by_time(NOON, NOON + timedelta(seconds=5), False) == "within 2 s of sending"
    assert machine.by_time(NOON + timedelta(seconds=1.9), NOON, False) == "within 2 s of sending"
    assert machine.by_time(NOON + timedelta(seconds=2), NOON, False) is None
    assert machine.by_time(NOON, None, False) is None


def test_three_different_links_at_once_are_a_scanners() -> None:
    at = [NOON + timedelta(seconds=n) for n in (0, 1, 1.5)]
    clicks = [(at[0], "https://a.test/1"), (at[1], "https://a.test/2"), (at[2], "https://a.test/3")]
    assert machine.by_links(clicks, at[0], "https://a.test/1") == "several links at once"
    assert machine.by_links(clicks[:2], at[0], "https://a.test/1") is None
    assert machine.by_links([clicks[0]] * 5, at[0], "https://a.test/1") is None
    late = [*clicks[:2], (NOON + timedelta(seconds=9), "https://a.test/3")]
    assert machine.by_links(late, at[0], "https://a.test/1") is None


def test_the_networks_that_come_along_can_be_read_and_name_their_owner() -> None:
    networks = machine.networks(Path(machine.__file__).with_name("machines.txt"))
    assert machine.by_network("66.249.84.10", networks) == "network: Google image proxy"
    assert machine.by_network("::ffff:66.249.84.10", networks) == "network: Google image proxy"
    assert machine.by_network("192.0.2.1", networks) is None
    assert machine.by_network("2001:db8::1", networks) is None
    assert machine.by_network("not an address", networks) is None


def test_a_file_of_networks_that_cannot_be_read_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "machines.txt"
    path.write_text("# ours\n10.0.0.0/8 us\n10.0.0.300/8\n")
    with pytest.raises(ValueError, match="line 3"):
        machine.networks(path)
