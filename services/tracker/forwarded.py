"""Who really asks, behind proxies of our own: X-Forwarded-For is believed from those alone."""

import ipaddress
from collections.abc import Sequence

from shared.runtime.outgoing import Networks


def client_address(peer: str, forwarded: Sequence[str], proxies: Networks) -> str:
    """Return the nearest address that is no proxy of ours: what stands before it, anyone may have written."""
    chain = [part.strip() for value in forwarded for part in value.split(",")]
    address = peer
    while chain and _is_ours(address, proxies):
        address = chain.pop()
    return address


def _is_ours(address: str, proxies: Networks) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip.version == network.version and ip in network for network in proxies)
