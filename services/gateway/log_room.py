"""Owns the answer to "may new mail still be accepted?": the last tenth of the log is for mail under way.

Without it, outcomes of accepted mail could not be appended any more when the log is full.
"""

import asyncio
from typing import Final

import nats
import structlog

from services.gateway.request import Services
from shared.runtime import topology

logger = structlog.get_logger(__name__)
ASKED_EVERY: Final = 2.0
FOR_NEW_MAIL: Final = 0.9


def has_room(used: int, limit: int) -> bool:
    """Say whether a log of `limit` bytes (none: -1) takes new mail. Pure."""
    return limit <= 0 or used < limit * FOR_NEW_MAIL


async def watch(services: Services) -> None:
    """Keep `services.log_below_mark` current; while the broker does not answer it stays what it was."""
    while True:
        try:
            info = await services.client.jetstream(timeout=2).stream_info(topology.LOG)
            room = has_room(info.state.bytes, info.config.max_bytes or -1)
            if room != services.log_below_mark:
                logger.warning("log_room_changed", has_room=room, bytes=info.state.bytes)
            services.log_below_mark = room
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            logger.debug("log_size_unknown", error=repr(error))
        await asyncio.sleep(ASKED_EVERY)
