"""Asks DNS what it shows of a DKIM key, and judges it: the record as it should be, another, none, or no answer.

No answer is said as such and never taken for a missing record: a machine without DNS knows nothing about either.
"""

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from services.gateway.accounts.fields import DkimCheck, Dns
from shared.mail import dkim
from shared.runtime.configuration import DkimKey

WITHIN: Final = 5.0
_PORT: Final = 53
_PORTS: Final = 65_536
_EDNS_BYTES: Final = 1232  # a record of RSA fits into one datagram


def parse_servers(text: str) -> list[tuple[str, int]]:
    """Return the servers of a setting such as `10.0.0.2, [fd00::2]:5353`. Raises: ValueError."""
    return [_server(part.strip()) for part in text.split(",") if part.strip()]


def _server(text: str) -> tuple[str, int]:
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    number = int(port) if port else _PORT
    if not 0 < number < _PORTS:
        raise ValueError(f"{text}: not a port")
    return str(ipaddress.ip_address(host)), number


async def check(keys: Iterable[DkimKey], servers: Sequence[tuple[str, int]]) -> list[DkimCheck]:
    """Return what DNS shows of each key, asking for all at once; takes 5 s at most."""
    try:
        resolver = _resolver(servers)
    except dns.exception.DNSException as error:
        return [_said(key, "unreachable", f"this machine has no DNS: {error}") for key in keys]
    return list(await asyncio.gather(*(_check(key, resolver) for key in keys)))


def _resolver(servers: Sequence[tuple[str, int]]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    resolver.lifetime = WITHIN
    resolver.use_edns(0, 0, _EDNS_BYTES)
    return resolver


async def _check(key: DkimKey, resolver: dns.asyncresolver.Resolver) -> DkimCheck:
    name = dkim.record_name(key.selector, key.domain)
    try:
        answer = await resolver.resolve(f"{name}.", "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return _said(key, "missing", f"DNS has no TXT record {name}")
    except (dns.exception.DNSException, OSError, EOFError) as error:
        return _said(key, "unreachable", f"DNS gave no answer: {error}")
    return judged(key, [b"".join(item.strings).decode("utf-8", "replace") for item in answer])


def judged(key: DkimKey, records: Sequence[str]) -> DkimCheck:
    """Say whether the records of a name are what the key needs. Pure."""
    if len(records) > 1:
        return _said(key, "different", f"DNS has {len(records)} TXT records where one is allowed")
    found = dkim.tags(records[0])
    if found.get("p") == "":
        return _said(key, "different", "DNS says that this key is revoked (p= is empty)")
    if found.get("p") != key.public:
        return _said(key, "different", "DNS shows another key (p=)")
    if found.get("k", "rsa") != key.algorithm or found.get("v", "DKIM1") != "DKIM1":
        return _said(key, "different", f"DNS does not say v=DKIM1; k={key.algorithm}")
    return _said(key, "ok", "DNS shows the record as it should be")


def _said(key: DkimKey, found: Dns, message: str) -> DkimCheck:
    name = dkim.record_name(key.selector, key.domain)
    return DkimCheck(selector=key.selector, record_name=name, dns=found, message=message)
