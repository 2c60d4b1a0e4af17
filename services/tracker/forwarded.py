"""Who really asks, behind proxies of our own: X-Forwarded-For is believed from those alone."""

import ipaddress
from collections.abc import Sequence

from shared.runtime.outgoing import Networks


def client_address(peer: str, forwarded: Sequence[str], proxies: Networks) -> str:
    """Return the nearest address that is no proxy of ours: what stands before it, anyone may have written."""
    chain = [part.strip() for value in forwarded for part in value.split(",")]
    address = peer
    while chain and _is_ours(address, proxies):
        address = _without_port(chain.pop())
    return address


def _without_port(written: str) -> str:
    """Return the address; some proxies write the client's port behind it, as `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if written.startswith("["):
        return written[1:].partition("]")[0]
    return written.partition(":")[0] if written.count(":") == 1 else written


def _is_ours(address: str, proxies: Networks) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip.version == network.version and ip in network for network in proxies)
