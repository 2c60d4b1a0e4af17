"""Heartbeats of records in hand: answered requests, so that silence is noticed, and many in one write.

A request for each by the client's own means kept everybody else's work waiting for a tenth of a second
where some hundred records were in hand.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import nats
import structlog
from nats.aio.msg import Msg

from shared.runtime.delivery import Delivery
from shared.runtime.log import Log

logger = structlog.get_logger(__name__)
IN_PROGRESS: Final = b"+WPI"
WITHIN: Final = 2.0
SLICE: Final = 64  # asked in one piece: others have their turn between two


async def keep_alive(log: Log, deliveries: Sequence[Delivery]) -> None:
    """Tell the broker that these are being worked on, and each whose answer comes within two seconds that it is held.

    Never raises: what is not answered counts as not held from its last answer on.
    """
    if not log.client.is_connected:
        return  # the client would keep in memory what is written now, for as long as the broker is away
    asked = asyncio.get_running_loop().time()
    waiting: set[str] = set()
    all_answered = asyncio.Event()

    def ask(delivery: Delivery) -> bytes:
        def on_answer(message: Msg) -> None:
            if message.headers and message.headers.get("Status") == "503":
                return  # nobody serves the consumer right now
            delivery.answered(asked)
            log.inbox.forget(reply)
            waiting.discard(reply)
            if not waiting:
                all_answered.set()

        reply = log.inbox.expect(on_answer)
        waiting.add(reply)
        head = f"PUB {delivery.reply} {reply} {len(IN_PROGRESS)}\r\n"
        return head.encode() + IN_PROGRESS + b"\r\n"

    asks = [ask(delivery) for delivery in deliveries]
    try:
        for start in range(0, len(asks), SLICE):
            await log.write(b"".join(asks[start : start + SLICE]))
            await asyncio.sleep(0)
        # Not around the writes: nats-py swallows a cancellation there, and the wait would have no end.
        async with asyncio.timeout(WITHIN):
            await all_answered.wait()
    except (nats.errors.Error, TimeoutError, OSError) as error:
        logger.debug("heartbeats_unanswered", records=len(waiting), error=repr(error))
    finally:
        for reply in waiting:
            log.inbox.forget(reply)
