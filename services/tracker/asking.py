"""Who asks for something in an email: whether the request shows a machine, and what of it may be kept.

Told when the request is there, so that what may not be kept is written nowhere, not even into the journal.
"""

from typing import Final

import msgspec
from aiohttp import web

from services.tracker import machine
from services.tracker.forwarded import client_address
from services.tracker.privacy import Privacy, shown_address, shown_agent
from services.tracker.ranges import Ranges
from shared.runtime.outgoing import Networks

_PURPOSE: Final = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


class Asker(msgspec.Struct, frozen=True, gc=False):
    """What a request says of who made it; `machine` is why it was a machine, empty where nothing says so."""

    machine: str
    ip_address: str
    user_agent: str


class Witness:
    """Sees requests. `proxies` are believed when they say for whom they ask."""

    def __init__(self, proxies: Networks, ranges: Ranges, privacy: Privacy) -> None:
        self._proxies, self._ranges, self._privacy = proxies, ranges, privacy

    def saw(self, incoming: web.BaseRequest) -> Asker:
        """Return what there is to say of a request."""
        headers = incoming.headers
        forwarded = headers.getall("X-Forwarded-For", []) if self._proxies else []
        address = client_address(incoming.remote or "", forwarded, self._proxies)
        agent = headers.get("User-Agent", "")
        purpose = next((said for name in _PURPOSE if (said := headers.get(name))), "")
        found = machine.by_request(agent, purpose) or self._ranges.reason(address)
        return Asker(
            found or "", shown_address(address, self._privacy) or "", shown_agent(agent, self._privacy) or ""
        )
