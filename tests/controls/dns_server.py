"""A small name server on loopback: it knows the TXT records a test gives it, and can be silent or broken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

_STRING = 255  # the longest string of a TXT record; longer texts are several


class DnsServer(asyncio.DatagramProtocol):
    """Answers from `records`; `rcode` is said instead, once it is set, and nothing at all when `silent`."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.rcode: dns.rcode.Rcode | None = None
        self.silent = False
        self.address = ""
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        host, port = transport.get_extra_info("sockname")
        self.address = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not self.silent and self._transport is not None:
            self._transport.sendto(self._answer(dns.message.from_wire(data)), addr)

    def _answer(self, question: dns.message.Message) -> bytes:
        answer = dns.message.make_response(question)
        asked = question.question[0]
        texts = self.records.get(asked.name.to_text(omit_final_dot=True))
        if self.rcode is not None or texts is None:
            answer.set_rcode(self.rcode or dns.rcode.NXDOMAIN)
        elif texts and asked.rdtype == dns.rdatatype.TXT:
            answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "TXT", *map(_quoted, texts)))
        return answer.to_wire()


def _quoted(text: str) -> str:
    return " ".join(f'"{text[start : start + _STRING]}"' for start in range(0, len(text), _STRING))


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    """Run one on a free port for the length of the block."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(DnsServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
