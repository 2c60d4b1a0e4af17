"""How much is kept of who opened or clicked: all, the address without its last part, or nothing."""

import ipaddress
from functools import lru_cache
from typing import Literal, TypeAlias

Privacy: TypeAlias = Literal["full", "anonymised", "none"]
_MAX_AGENT = 500


@lru_cache(maxsize=4096)
def shown_address(address: str, privacy: Privacy) -> str | None:
    """Return the address as it may be kept."""
    if privacy == "none" or not address:
        return None
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if privacy == "full":
        return str(ip)
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:  # an IPv4 address in other clothes; its last part is not the IPv6 one's
        ip = mapped
    prefix = 24 if ip.version == 4 else 48
    return str(ipaddress.ip_network((ip, prefix), strict=False).network_address)


def shown_agent(user_agent: str, privacy: Privacy) -> str | None:
    """Return the agent as it may be kept."""
    return None if privacy == "none" else user_agent[:_MAX_AGENT] or None
