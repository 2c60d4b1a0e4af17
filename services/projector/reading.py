"""A stream read from its beginning, in order, a page at a time: only a rebuild does so."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec
import nats
from nats.aio.msg import Msg

from shared.runtime import log as log_
from shared.runtime import topology

_PAGE: Final = 1000
_WITHIN: Final = 30.0


class Raw(NamedTuple):
    """A message of the stream, not decoded."""

    subject: str
    headers: dict[str, str]
    data: bytes
    sequence: int


async def pages(
    log: log_.Log, subject: str, up_to: int, *, stream: str = topology.LOG
) -> AsyncIterator[list[Raw]]:
    """Yield the messages under a subject up to a sequence. Raises: BrokerUnavailable."""
    start = 1
    while start <= up_to:
        try:
            async with asyncio.timeout(_WITHIN):
                page = await _page(log, stream, subject, start)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            raise log_.BrokerUnavailable(f"the log could not be read from {start} on: {error!r}") from error
        wanted = [raw for raw in page if raw.sequence <= up_to]
        if wanted:
            yield wanted
        if not page:
            return
        start = page[-1].sequence + 1


async def _page(log: log_.Log, stream: str, subject: str, start: int) -> list[Raw]:
    page: list[Raw] = []
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_answer(message: Msg) -> None:
        head = message.headers or {}
        if "Nats-Sequence" in head:
            page.append(Raw(head["Nats-Subject"], head, message.data, int(head["Nats-Sequence"])))
        elif not ended.done():
            log_.end_page(ended, head)

    reply = log.inbox.expect(on_answer)
    try:
        ask = {"seq": start, "next_by_subj": subject, "batch": _PAGE}
        await log.client.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(ask), reply=reply)
        await ended
    finally:
        log.inbox.forget(reply)
    return page
