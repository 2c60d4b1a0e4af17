"""The verdict on a hit: whether a person or a machine made it, and how we know. Pure.

A machine taken for a person makes every statistic a lie, so what proxies, scanners and previews do counts as a
machine's: told by the agent, the network, or a haste no person has.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

# Whose a network is, by (IP version, length of the prefix) and the prefix: a list of thousands costs no more.
Networks: TypeAlias = Mapping[tuple[int, int], Mapping[int, str]]
_BITS: Final = {4: 32, 6: 128}
HASTE: Final = timedelta(seconds=2)
LINKS_AT_ONCE: Final = 3
_MAX_AGENT: Final = 1000
# What a mail proxy, a link scanner, a preview or a library calls itself; the first that fits names the reason.
_AGENTS: Final = (
    ("proxy", re.compile(r"googleimageproxy|yahoomailproxy|mail ?proxy|image[ -]?proxy|asset proxy|\bhey proxy|github-camo|\bvia ggpht|cloudflare-?proxy|duckduckgo-?favicons|protonmail.{0,20}proxy")),
    ("scanner", re.compile(r"barracuda|proofpoint|mimecast|safelinks|forcepoint|symantec|messagelabs|zscaler|sophos|trend ?micro|kaspersky|fortinet|hornetsecurity|security-?scanner|safe-?browsing|google-safety|zgrab|masscan|censys|qualys|fireeye|ironport|cisco|mailscanner|virustotal|urlscan|phish|checkpoint|trellix|cloudmark|bitdefender|microsoft.{0,10}defender|ms-?office.{0,10}protection|antivirus|clamav")),
    ("preview", re.compile(r"bingpreview|slackbot|slack-imgproxy|facebookexternalhit|twitterbot|linkedinbot|whatsapp|telegrambot|discordbot|skypeuripreview|embedly|iframely|google-?pagerenderer|googlemessages|(?:url|link|page) ?preview|prefetch|imessagebot")),
    ("robot", re.compile(r"(?<!cu)bot\b|crawler|crawling|spider|slurp|mediapartners|lighthouse|health-?check|webdav|curl/|wget/|python-|aiohttp/|httpx/|go-http-client|java/|okhttp/|libwww|lwp::|axios/|node-fetch|undici|headless|phantomjs|puppeteer|playwright|selenium|scrapy|apache-httpclient|guzzle|postman|powershell|httpclient|winhttp|faraday|typhoeus|rest-client|^(?:ruby|php|got|go|dart|node|deno|bun)(?:$|[ /(])|uptime|pingdom|feedfetcher|archiver")),
)  # fmt: skip
_PREFETCH: Final = frozenset({"prefetch", "preview", "prerender"})


def by_request(user_agent: str, purpose: str = "") -> str | None:
    """Return why this request is a machine's, by what it says of itself, or None.

    `purpose` is the value of Sec-Purpose, Purpose, X-Purpose or X-Moz: browsers say there that nobody is looking yet.
    """
    if purpose and _PREFETCH & {word.strip(" ;,") for word in re.split(r"[;,\s]+", purpose[:200].lower())}:
        return "prefetch"
    return _by_agent(user_agent[:_MAX_AGENT])


@lru_cache(maxsize=1024)  # of the same few programs, asked at every hit
def _by_agent(user_agent: str) -> str | None:
    agent = " ".join(user_agent.split()).lower()
    if not agent or agent == "-":
        return "no user agent"
    if agent in ("mozilla/5.0", "mozilla/4.0", "mozilla"):  # Apple's Mail Privacy Protection and its like
        return "bare user agent"
    return next((reason for reason, words in _AGENTS if words.search(agent)), None)


def by_network(address: str, networks: Networks) -> str | None:
    """Return whose network of machines the address is in, or None."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    number, bits = int(ip), _BITS[ip.version]
    for (version, length), owners in networks.items():
        if version == ip.version and (owner := owners.get(number >> (bits - length))) is not None:
            return f"network: {owner}"
    return None


def by_time(at: datetime, sent_at: datetime | None, is_under_way: bool) -> str | None:
    """Return whether the hit came faster than a person can: before the email was sent, or right after it.

    `sent_at` is None where nobody knows; `is_under_way` says that the email has not been sent.
    """
    if sent_at is None:
        return "before it was sent" if is_under_way else None
    return "within 2 s of sending" if at - sent_at < HASTE else None


def by_links(others: Iterable[tuple[datetime, str]], at: datetime, url: str) -> str | None:
    """Return whether several different links of one email were followed at once, as scanners do."""
    different = {url} | {other for when, other in others if abs(at - when) <= HASTE}
    return "several links at once" if len(different) >= LINKS_AT_ONCE else None


def networks(path: Path) -> Networks:
    """Read the file of known ranges: one network a line, then whose it is; `#` begins a comment.

    Raises: ValueError naming the line; OSError.
    """
    found: dict[tuple[int, int], dict[int, str]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        entry = line.partition("#")[0].split(None, 1)
        if entry:
            try:
                network = ipaddress.ip_network(entry[0])
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
            prefix = int(network.network_address) >> (_BITS[network.version] - network.prefixlen)
            owners = found.setdefault((network.version, network.prefixlen), {})
            owners[prefix] = entry[1].strip() if len(entry) > 1 else "machines"
    return found
