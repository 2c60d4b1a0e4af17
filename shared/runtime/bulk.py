"""Many messages into any stream as one atomic batch: all of them are stored, or none is.

It shares one fsync among them (STACK.md); guards are checked at the commit against the stream before the batch,
so no subject may stand in a batch twice.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.runtime.appending import WRONG_LAST_SEQUENCE
from shared.runtime.log import BrokerUnavailable, Inbox, PubAck, decode_ack

LIMIT: Final = 1000
WITHIN: Final = 10.0


class Item(NamedTuple):
    """One message; `guard` is the last sequence its subject may have (0: none)."""

    subject: str
    data: bytes
    guard: int


class Overtaken(Exception):
    """Somebody else wrote to one of the subjects first; nothing was stored."""


async def write(client: Client, inbox: Inbox, items: Sequence[Item]) -> None:
    """Store up to LIMIT messages of different subjects. Raises: Overtaken, BrokerUnavailable.

    When it is unavailable all of them may have been stored, or none.
    """
    answer: asyncio.Future[PubAck] = asyncio.get_running_loop().create_future()

    def on_answer(message: Msg) -> None:
        # The first message's own answer is empty unless it was refused; the commit's always says something.
        if message.headers and message.headers.get("Status") == "503":
            _fail(answer, "no broker serves the stream right now")
        elif message.data and not answer.done():
            answer.set_result(decode_ack(message.data))

    reply = inbox.expect(on_answer)
    try:
        async with asyncio.timeout(WITHIN):
            await client._send_command(_commands(items, reply))
            await client._flush_pending()
            ack = await answer
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise BrokerUnavailable(f"a batch was not confirmed: {error!r}") from error
    finally:
        inbox.forget(reply)
    if ack.error is not None:
        if ack.error.err_code in WRONG_LAST_SEQUENCE:
            raise Overtaken(ack.error.description)
        raise BrokerUnavailable(f"a batch was refused: {ack.error.description}")


def _fail(answer: "asyncio.Future[PubAck]", why: str) -> None:
    if not answer.done():
        answer.set_exception(BrokerUnavailable(why))


def _commands(items: Sequence[Item], reply: str) -> bytes:
    batch_id = uuid.uuid4().hex
    last = len(items)
    return b"".join(
        _command(item, reply if number in (1, last) else "", batch_id, number, commits=number == last)
        for number, item in enumerate(items, 1)
    )


def _command(item: Item, reply: str, batch_id: str, number: int, *, commits: bool) -> bytes:
    head = (
        f"NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: {item.guard}\r\n"
        f"Nats-Batch-Id: {batch_id}\r\nNats-Batch-Sequence: {number}\r\n"
        f"{'Nats-Batch-Commit: 1' + chr(13) + chr(10) if commits else ''}\r\n"
    ).encode()
    size = len(head) + len(item.data)
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (
        item.subject.encode(),
        reply.encode(),
        len(head),
        size,
        head,
        item.data,
    )
