"""Addresses users may not make us connect to, one row each, in every spelling."""

import ipaddress
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import outgoing

ROWS = [
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("10.0.0.1", "private"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("100.100.100.200", "cloud metadata"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "cloud metadata"),
    ("169.254.169.254", "cloud metadata"),
    ("169.254.170.2", "cloud metadata"),
    ("169.254.1.1", "link-local"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.8", "reserved"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "benchmarking"),
    ("198.51.100.7", "documentation"),
    ("203.0.113.7", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("fe80::1", "link-local"),
    ("fec0::1", "site-local"),
    ("fc00::1", "private"),
    ("fd12:3456::1", "private"),
    ("fd00:ec2::254", "cloud metadata"),
    ("ff02::1", "multicast"),
    ("2001:db8::1", "documentation"),
    ("100::1", "reserved"),
    ("4000::1", "reserved"),
    ("::ffff:127.0.0.1", "loopback, embedded"),
    ("::ffff:169.254.169.254", "cloud metadata, embedded"),
    ("::10.0.0.1", "private, embedded"),
    ("64:ff9b::10.0.0.1", "private, embedded"),
    ("64:ff9b::a9fe:a9fe", "cloud metadata, embedded"),
    ("64:ff9b:1::127.0.0.1", "local NAT64"),
    ("64:ff9b:1::8.8.8.8", "local NAT64"),
    ("64:ff9b:1:7f00:0:100::", "local NAT64"),
    ("2002:7f00:1::", "loopback, embedded"),
    ("2002:0a00:0001::1", "private, embedded"),
    ("2001:0:0a00:1::", "private, embedded"),  # Teredo: the server's address
    ("2001:0:808:808:0:0:80ff:fffe", "loopback, embedded"),  # Teredo: the client's, inverted
    ("2a00:1450::5efe:10.0.0.1", "private, embedded"),  # ISATAP
    ("2a00:1450::200:5efe:127.0.0.1", "loopback, embedded"),
    ("fe80::5efe:808:808", "link-local"),  # what ISATAP holds is public, the address is not
    ("fd00:1::5efe:808:808", "private"),
    ("fd00:1::200:5efe:808:808", "private"),
    ("ff02::5efe:808:808", "multicast"),
    ("2001:db8::5efe:808:808", "documentation"),
    ("100::5efe:808:808", "reserved"),
    ("2001:0:808:808::f7f7:f7f7", "reserved"),  # Teredo between public addresses
    ("::808:808", "reserved"),
]
GOOD = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "169.253.0.1"]
GOOD += ["2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
GOOD += ["2a00:1450::5efe:808:808"]


@pytest.mark.parametrize(("address", "word"), ROWS)
def test_a_bad_address_is_refused_by_its_word(address: str, word: str) -> None:
    assert outgoing.refusal(ipaddress.ip_address(address), ()) == word


@pytest.mark.parametrize("address", GOOD)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert outgoing.refusal(ipaddress.ip_address(address), ()) is None


@pytest.mark.parametrize(("address", "word"), ROWS)
async def test_resolving_a_bad_address_names_host_address_and_setting(address: str, word: str) -> None:
    with pytest.raises(outgoing.RefusedAddress) as caught:
        await outgoing.resolve(address, 25, ())
    assert address in str(caught.value)
    assert word in str(caught.value)
    assert "SENDLOG_ALLOW_NETWORKS" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "::1", "::ffff:10.1.2.3", "127.1", "0x7f000001"])
async def test_the_operators_networks_are_allowed_all_the_same(host: str) -> None:
    allowed = outgoing.parse_networks("127.0.0.0/8, ::1 10.1.0.0/16")
    (checked,) = await outgoing.resolve(host, 25, allowed)
    assert outgoing.refusal(ipaddress.ip_address(checked[1]), allowed) is None


def test_an_allowed_network_inside_an_address_does_not_allow_the_address() -> None:
    allowed = outgoing.parse_networks("10.1.0.0/16")
    assert outgoing.refusal(ipaddress.ip_address("fe80::5efe:10.1.0.1"), allowed) == "link-local"


async def test_an_allowed_network_allows_nothing_beside_it() -> None:
    with pytest.raises(outgoing.RefusedAddress):
        await outgoing.resolve("10.2.0.1", 25, outgoing.parse_networks("10.1.0.0/16"))


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "１２７.０.０.１",
        "127。0。0。1",
        "0",
        "134744072",  # 8.8.8.8, public, yet nobody writes it so
        "8.8",
    ],
)
async def test_an_odd_spelling_of_an_address_is_refused(host: str) -> None:
    with pytest.raises(outgoing.RefusedAddress) as caught:
        await outgoing.resolve(host, 25, ())
    assert repr(host) in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
async def test_a_name_that_leads_to_loopback_is_refused(host: str) -> None:
    with pytest.raises((outgoing.RefusedAddress, socket.gaierror)):
        await outgoing.resolve(host, 25, ())


async def test_one_bad_address_among_good_ones_refuses_the_host(answers: Callable[..., None]) -> None:
    answers("8.8.8.8", "10.0.0.1")
    with pytest.raises(outgoing.RefusedAddress) as caught:
        await outgoing.resolve("rebinding.test", 25, ())
    assert caught.value.address == "10.0.0.1"


async def test_good_addresses_come_back_in_the_resolvers_order_once_each(
    answers: Callable[..., None],
) -> None:
    answers("2606:4700::1111", "8.8.8.8", "8.8.8.8")
    assert await outgoing.resolve("good.test", 25, ()) == [
        (socket.AF_INET6, "2606:4700::1111"),
        (socket.AF_INET, "8.8.8.8"),
    ]


@pytest.mark.parametrize("host", ["", "a" * 64 + ".test", "..", "exa mple.test", "no-such-host.invalid"])
async def test_what_is_no_host_is_a_resolver_error(host: str) -> None:
    with pytest.raises((socket.gaierror, outgoing.RefusedAddress)):
        await outgoing.resolve(host, 25, ())


def test_networks_are_read_from_text() -> None:
    assert outgoing.parse_networks("") == ()
    assert outgoing.parse_networks(" 10.0.0.0/8,\n::1/128 ") == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        outgoing.parse_networks("10.0.0.1/8")


@given(st.ip_addresses(v=4))
def test_what_python_calls_not_global_is_refused(address: ipaddress.IPv4Address) -> None:
    if not address.is_global:
        assert outgoing.refusal(address, ())


@given(st.ip_addresses(v=6))
def test_what_python_calls_not_global_is_refused_in_version_6(address: ipaddress.IPv6Address) -> None:
    if not address.is_global and not outgoing._embedded(address):
        assert outgoing.refusal(address, ())


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a way to say what the resolver answers; the only thing here that is no real one."""

    def say(*addresses: str) -> None:
        infos = [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, 25),
            )
            for address in addresses
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)

    return say
