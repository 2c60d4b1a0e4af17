"""Where users may make us connect to: names are resolved once, checked, and never resolved again.

Hosts of SMTP, IMAP and webhook servers come from users. Without the check an account named
`169.254.169.254` reads the cloud's secrets, and without connecting to the checked address itself a
second DNS answer undoes the check.
"""

import asyncio
import ipaddress
import socket
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks: TypeAlias = tuple[Network, ...]
Checked: TypeAlias = tuple[socket.AddressFamily, str]

SETTING = "SENDLOG_ALLOW_NETWORKS"

# Written out, not taken from `is_private` and `is_global`: those answer differently from one Python to
# the next. The narrower network stands before the wider one that holds it, for the better word.
_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), word)
    for network, word in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.100.100.200/32", "cloud metadata"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.169.254/32", "cloud metadata"),
        ("169.254.170.2/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fd00:ec2::254/128", "cloud metadata"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001::/23", "reserved"),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_V4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_GLOBAL_V6 = (ipaddress.IPv6Network("2000::/3"), _NAT64, _V4_MAPPED)
_V4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


class RefusedAddress(Exception):
    """The host leads to an address that users may not make us connect to; the message names both."""

    def __init__(self, host: str, address: str, word: str) -> None:
        self.host, self.address, self.word = host, address, word
        super().__init__(
            f"{host!r} leads to {address} ({word}), where Sendlog does not connect "
            f"unless the operator names its network in {SETTING}"
        )


def parse_networks(text: str) -> Networks:
    """Read networks separated by commas or spaces.

    Raises: ValueError naming the part that is no network.
    """
    return tuple(ipaddress.ip_network(part) for part in text.replace(",", " ").split())


async def resolve(host: str, port: int, allowed: Networks) -> list[Checked]:
    """Resolve the host once and return its addresses in the resolver's order, all of them checked.

    Connect to what is returned, never to the name. One bad address refuses the host: a name that
    leads to both sides is an attack or a mistake.

    Raises: RefusedAddress; socket.gaierror when there is no such host.
    """
    _refuse_odd_spelling(host, allowed)
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # the idna codec's way to say that this is no host name
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name: {error}")
    found: dict[Checked, None] = {}
    for family, _, _, _, sockaddr in infos:
        address = str(sockaddr[0])
        if word := refusal(ipaddress.ip_address(address), allowed):
            raise RefusedAddress(host, address, word)
        found[socket.AddressFamily(family), address] = None
    return list(found)


def refusal(address: Address, allowed: Networks) -> str | None:
    """Return the word for why users may not make us connect there, or None."""
    if _inside(address, allowed):
        return None
    for v4 in _embedded(address):
        if word_inside := refusal(v4, allowed):
            return f"{word_inside}, embedded"
    # What it holds may be fine and it still lead elsewhere: whoever is on our link takes any interface id.
    for network, word in _REFUSED:
        if address in network:
            return word
    if isinstance(address, ipaddress.IPv6Address) and not any(address in net for net in _GLOBAL_V6):
        return "reserved"
    return None


def _inside(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _embedded(address: Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Return the IPv4 addresses that packets to this IPv6 address end up at."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    number = int(address)
    translated = address in _NAT64
    compatible = address in _V4_COMPATIBLE and number > 1
    isatap = (number >> 32) & 0xFFFFFFFF in _ISATAP
    if translated or compatible or isatap:
        return (ipaddress.IPv4Address(number & 0xFFFFFFFF),)
    return ()


def _refuse_odd_spelling(host: str, allowed: Networks) -> None:
    """Refuse addresses that only inet_aton understands: 127.1, 2130706433, 0x7f.1, 0177.0.0.1.

    Whoever writes an address like that wants to pass a filter that compares text.
    """
    try:
        ipaddress.ip_address(host)
        return
    except ValueError:
        pass
    try:
        packed = socket.inet_aton(host.strip().encode("idna").decode("ascii").rstrip("."))
    except (OSError, UnicodeError):
        return
    address = ipaddress.IPv4Address(packed)
    if not _inside(address, allowed):
        raise RefusedAddress(host, str(address), "an odd spelling of an address")
